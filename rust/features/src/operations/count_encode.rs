//! How often `fit` saw the category, or which part of the values that are not missing it made up.
//! Unseen categories are 0. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::categories::category;
use super::tally::Tally;
use super::target::Encoded;
use crate::expression::{Entry, Expression, Fit};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountEncode {
    /// A share of all, instead of a count.
    #[serde(default)]
    normalize: bool,
}

struct Learn {
    tally: Tally,
    normalize: bool,
}

impl Fit for Learn {
    type State = Encoded;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        self.tally.update(&inputs[0])
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.tally.merge(other.tally)
    }

    fn finish(self) -> Result<Encoded> {
        let counted = self.tally.finish()?;
        let total = if self.normalize {
            counted.count() as f64
        } else {
            1.0
        };
        let sorted = counted.sorted();
        Ok(Encoded {
            classes: Vec::new(),
            values: sorted
                .iter()
                .map(|(_, count)| *count as f64 / total)
                .collect(),
            categories: sorted.into_iter().map(|(key, _)| key.to_owned()).collect(),
            unknown: Some(0.0),
        })
    }
}

impl Expression for CountEncode {
    const NAME: &'static str = "count_encode";
    type Fit = Learn;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Number)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Learn> {
        Some(Learn {
            tally: Tally::new(inputs.first().copied()?)?,
            normalize: self.normalize,
        })
    }

    fn kernel(&self, state: Encoded, inputs: &[Type]) -> Result<Kernel> {
        state.kernel(inputs.first().copied().unwrap_or(Type::Text))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        let what = if self.normalize { "frequency" } else { "count" };
        format!("{input}_{what}")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<CountEncode>(&[
    r#"{"op":"count_encode","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"count_encode","normalize":true,"input":{"op":"col","name":"n"}}"#,
]);
