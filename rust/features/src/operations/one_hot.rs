//! One column for each category seen at least `min_count` times, in order of the category, and a
//! last one for all others, the unknown bucket: rare categories of `fit` and unseen ones of later.
//! The column of a row's category is 1, the others are 0. A missing value is none of them: all its
//! columns are 0 (add `is_null` where being missing says something).

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Keep, category, check_count};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most columns of one expression: a bound on the width of the matrix.
const MAX_COLUMNS: usize = 10_000;
/// What the unknown bucket is called in names.
const UNKNOWN: &str = "(unknown)";

/// Which category has no column, so that the columns of one expression do not add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Drop {
    /// The first in order.
    First,
    /// The first in order, if there are two.
    IfBinary,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneHot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop: Option<Drop>,
    /// Only so many categories have a column: the most frequent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_categories: Option<u32>,
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

impl OneHot {
    /// How many of the first categories have no column.
    fn dropped(&self, categories: usize) -> usize {
        match self.drop {
            Some(Drop::First) => categories.min(1),
            Some(Drop::IfBinary) => usize::from(categories == 2),
            None => 0,
        }
    }
}

impl Expression for OneHot {
    const NAME: &'static str = "one_hot";
    type Fit = Count;

    fn check(&self) -> Result<()> {
        if self.max_categories == Some(0) {
            return Err(Error::invalid("max_categories is 0: use 1 or more"));
        }
        check_count(self.min_count)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Columns)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        let keep = Keep {
            most: self.max_categories.map_or(usize::MAX, |most| most as usize),
            ..Keep::frequent(self.min_count, MAX_COLUMNS)
        };
        Count::new(inputs.first().copied()?, keep)
    }

    fn kernel(&self, state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        let categories = state.categories.len();
        let dropped = self.dropped(categories);
        let count = categories - dropped + usize::from(self.unknown);
        if count > MAX_COLUMNS + 1 {
            return Err(Error::state(format!(
                "one_hot: {count} columns exceed {MAX_COLUMNS}"
            )));
        }
        let index = state.index(kind)?;
        let (unknown, dropped) = (categories as u32, dropped as u32);
        Ok(Kernel::Columns {
            count,
            run: Box::new(move |inputs, columns| {
                columns.mark(inputs[0].len(), |start, places| {
                    index.places(&inputs[0], start, unknown, places);
                    if dropped > 0 {
                        // A dropped category and, without an unknown bucket, an unknown one have
                        // their place outside of the columns, which is not written.
                        let shift = |place: &mut u32| *place = place.wrapping_sub(dropped);
                        places.iter_mut().for_each(shift);
                    }
                });
            }),
        })
    }

    fn suffixes(&self, state: &Categories) -> Vec<String> {
        state
            .shown()
            .skip(self.dropped(state.categories.len()))
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
    r#"{"op":"one_hot","drop":"if_binary","unknown":false,"input":{"op":"col","name":"b"}}"#,
    r#"{"op":"one_hot","drop":"first","max_categories":2,"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"one_hot","drop":"first","unknown":false,"input":{"op":"col","name":"n"}}"#,
]);
