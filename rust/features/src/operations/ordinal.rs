//! The position of a category among those seen at least `min_count` times, in order of the
//! category, from 0. Rare and unseen categories share the unknown bucket, −1. Missing in, missing
//! out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Index};
use crate::expression::{Entry, Expression, takes};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most categories, by the bound of the counts.
const MAX_CATEGORIES: usize = tidegate_sketch::DISTINCT_LIMIT;
/// The unknown bucket.
const UNKNOWN: f64 = -1.0;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordinal {
    #[serde(default = "one")]
    min_count: u64,
}

const fn one() -> u64 {
    1
}

impl Expression for Ordinal {
    const NAME: &'static str = "ordinal";
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
            _ => Ok(Type::Number),
        }
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        Count::new(inputs.first().copied()?, self.min_count, MAX_CATEGORIES)
    }

    fn kernel(&self, state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        let code = |found: Option<usize>| found.map_or(UNKNOWN, |position| position as f64);
        Ok(match state.index(kind)? {
            Index::Texts(map) => {
                Kernel::read(move |text| text.map_or(f64::NAN, |text| code(map.get(text))))
            }
            Index::Numbers(map) => Kernel::map(move |value| {
                if value.is_nan() {
                    f64::NAN
                } else {
                    code(map.get(value))
                }
            }),
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_ordinal", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Ordinal>(&[
    r#"{"op":"ordinal","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"ordinal","min_count":3,"input":{"op":"col","name":"k"}}"#,
    r#"{"op":"ordinal","input":{"op":"col","name":"x"}}"#,
]);
