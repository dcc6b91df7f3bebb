//! One column for each category seen at least `min_count` times, in order of the category, and a
//! last one for all others, the unknown bucket: rare categories of `fit` and unseen ones of later.
//! The column of a row's category is 1, the others are 0. A missing value is none of them: all its
//! columns are 0 (add `is_null` where being missing says something).

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Index};
use crate::expression::{Entry, Expression, takes};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most columns of one expression: a bound on the width of the matrix.
const MAX_COLUMNS: usize = 10_000;
/// What the unknown bucket is called in names.
const UNKNOWN: &str = "(unknown)";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneHot {
    #[serde(default = "one")]
    min_count: u64,
    /// Is there a column for unknown categories? Without it they are all 0.
    #[serde(default = "yes")]
    unknown: bool,
}

const fn one() -> u64 {
    1
}

const fn yes() -> bool {
    true
}

impl Expression for OneHot {
    const NAME: &'static str = "one_hot";
    type Fit = Count;

    fn check(&self) -> Result<()> {
        if self.min_count > 0 {
            return Ok(());
        }
        Err(Error::invalid(
            "min_count is 0: use 1 to keep every category",
        ))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [kind @ (Type::Columns | Type::Timestamp)] => {
                Err(takes("a string, number or bool", *kind))
            }
            _ => Ok(Type::Columns),
        }
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        Count::new(inputs.first().copied()?, self.min_count, MAX_COLUMNS)
    }

    fn kernel(&self, state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        let unknown = state.categories.len();
        // Without an unknown bucket its place lies outside the row and is not written.
        let count = unknown + usize::from(self.unknown);
        if count > MAX_COLUMNS + 1 {
            return Err(Error::state(format!(
                "one_hot: {count} columns exceed {MAX_COLUMNS}"
            )));
        }
        Ok(match state.index(kind)? {
            Index::Texts(map) => Kernel::Columns {
                count,
                run: Box::new(move |inputs, mut columns| {
                    let mut row = 0;
                    inputs[0].texts().for_each(|text| {
                        if let Some(text) = text {
                            columns.set(row, map.get(text).unwrap_or(unknown), 1.0);
                        }
                        row += 1;
                    });
                }),
            },
            Index::Numbers(map) => Kernel::Columns {
                count,
                run: Box::new(move |inputs, mut columns| {
                    for (row, &value) in inputs[0].numbers().iter().enumerate() {
                        if !value.is_nan() {
                            columns.set(row, map.get(value).unwrap_or(unknown), 1.0);
                        }
                    }
                }),
            },
        })
    }

    fn suffixes(&self, state: &Categories) -> Vec<String> {
        state
            .shown()
            .chain(self.unknown.then(|| UNKNOWN.to_owned()))
            .map(|shown| format!("={shown}"))
            .collect()
    }
}

pub(super) const ENTRY: Entry = Entry::of::<OneHot>(&[
    r#"{"op":"one_hot","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"one_hot","min_count":2,"unknown":false,"input":{"op":"col","name":"k"}}"#,
    r#"{"op":"one_hot","min_count":2,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"one_hot","input":{"op":"col","name":"b"}}"#,
]);
