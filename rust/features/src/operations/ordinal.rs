//! The position of a category among those seen at least `min_count` times, in order of the
//! category, or among given ones in the order given; from 0. Rare and unseen categories share the
//! unknown bucket, −1. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Keep, NOWHERE, category, check_count};
use super::literal::Constant;
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::{Type, write_key};

/// Most categories, by the bound of the counts.
const MAX_CATEGORIES: usize = tidegate_sketch::DISTINCT_LIMIT;
/// The unknown bucket.
const UNKNOWN: f64 = -1.0;
/// Where values of the unknown bucket stand among the categories: behind all that can be.
const OTHER: u32 = u32::MAX - 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordinal {
    /// The categories in their order, where it is not to be learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<Constant>>,
    #[serde(default = "one")]
    min_count: u64,
}

const fn one() -> u64 {
    1
}

/// The texts of given categories; an error if they are of another type than the input.
fn keys(given: &[Constant], kind: Type) -> Result<Vec<String>> {
    given
        .iter()
        .map(|constant| {
            let mut key = String::new();
            match constant {
                Constant::Text(text) if kind == Type::Text => key.push_str(text),
                constant if constant.kind() == kind => {
                    write_key(kind, constant.number().unwrap_or(f64::NAN), &mut key);
                }
                constant => {
                    return Err(Error::invalid(format!(
                        "has {} among its categories where the input is {kind}: give categories of the input's type",
                        constant.kind()
                    )));
                }
            }
            Ok(key)
        })
        .collect()
}

impl Expression for Ordinal {
    const NAME: &'static str = "ordinal";
    type Fit = Count;

    fn check(&self) -> Result<()> {
        check_count(self.min_count)?;
        let Some(given) = &self.categories else {
            return Ok(());
        };
        if given.is_empty() || given.len() > MAX_CATEGORIES {
            return Err(Error::invalid(format!(
                "{} categories: give 1 to {MAX_CATEGORIES}",
                given.len()
            )));
        }
        if self.min_count > 1 {
            return Err(Error::invalid(
                "takes categories or min_count, not both: given ones are not counted",
            ));
        }
        Ok(())
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs)?;
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        if let Some(given) = &self.categories {
            let mut keys = keys(given, kind)?;
            keys.sort_unstable();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Error::invalid(format!(
                    "has the category {:?} twice: give each one once",
                    pair[0]
                )));
            }
        }
        Ok(Type::Number)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        if self.categories.is_some() {
            return None;
        }
        let keep = Keep::frequent(self.min_count, MAX_CATEGORIES);
        Count::new(inputs.first().copied()?, keep)
    }

    fn kernel(&self, mut state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        if let Some(given) = &self.categories {
            state.categories = keys(given, kind)?;
        }
        let index = state.index(kind)?;
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            let (rows, mut out) = (out.len(), out.iter_mut());
            index.each_place(&inputs[0], rows, OTHER, |place| {
                if let Some(out) = out.next() {
                    *out = match place {
                        NOWHERE => f64::NAN,
                        OTHER => UNKNOWN,
                        place => f64::from(place),
                    };
                }
            });
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_ordinal", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Ordinal>(&[
    r#"{"op":"ordinal","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"ordinal","min_count":3,"input":{"op":"col","name":"k"}}"#,
    r#"{"op":"ordinal","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"ordinal","categories":["c","a","é"],"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"ordinal","categories":[3,-1,0.5],"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"ordinal","categories":[true,false],"input":{"op":"col","name":"b"}}"#,
]);
