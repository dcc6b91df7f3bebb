//! The value of the first condition that holds. A missing condition does not hold; where none does
//! it is the last value, if one stands alone at the end, else missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::logic::conditions;
use super::same_type;
use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Inputs: condition, value, condition, value, …, and what else is taken.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {}

/// The branches, and what else is taken.
fn split<T>(inputs: &[T]) -> (&[[T; 2]], Option<&T>) {
    let (branches, rest) = inputs.as_chunks::<2>();
    (branches, rest.first())
}

fn holds(condition: &Values<'_>, row: usize) -> bool {
    condition.numbers().get(row) == Some(&1.0)
}

impl Expression for When {
    const NAME: &'static str = "when";
    const INPUTS: Inputs = Inputs::List(2);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        let (branches, otherwise) = split(inputs);
        for [condition, _] in branches {
            conditions(&[*condition]).map_err(|error| error.at("when"))?;
        }
        let values: Vec<Type> = branches
            .iter()
            .map(|[_, value]| *value)
            .chain(otherwise.copied())
            .collect();
        same_type(&values).map_err(|error| error.at("then and otherwise"))
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let Some(first) = inputs.get(1) else {
            return Err(Error::internal("when has a condition and a value"));
        };
        if *first == Type::Text {
            return Ok(Kernel::Texts(Box::new(|inputs, rows, out| {
                let (branches, otherwise) = split(inputs);
                for row in 0..rows {
                    let taken = branches
                        .iter()
                        .find(|[condition, _]| holds(condition, row))
                        .map(|[_, value]| value)
                        .or(otherwise);
                    out.push(taken.and_then(|values| values.texts().get(row)));
                }
            })));
        }
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            let (branches, otherwise) = split(inputs);
            match otherwise {
                Some(values) => out.copy_from_slice(values.numbers()),
                None => out.fill(f64::NAN),
            }
            // From the last to the first, each over those behind it: no branch in the loop.
            for [condition, value] in branches.iter().rev() {
                let pairs = condition.numbers().iter().zip(value.numbers());
                for (out, (&condition, &value)) in out.iter_mut().zip(pairs) {
                    *out = if condition == 1.0 { value } else { *out };
                }
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        inputs.get(1).copied().unwrap_or_default().to_owned()
    }
}

pub(super) const ENTRY: Entry = Entry::of::<When>(&[
    r#"{"op":"when","inputs":[{"op":"col","name":"b"},{"op":"col","name":"x"}]}"#,
    r#"{"op":"when","inputs":[{"op":"gt","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}},{"op":"col","name":"n"},{"op":"col","name":"b"},{"op":"literal","value":-1},{"op":"col","name":"x"}]}"#,
    r#"{"op":"ordinal","input":{"op":"when","inputs":[{"op":"col","name":"b"},{"op":"col","name":"s"},{"op":"literal","value":"else"}]}}"#,
    r#"{"op":"dt","part":"hour","input":{"op":"when","inputs":[{"op":"col","name":"b"},{"op":"col","name":"t"},{"op":"col","name":"u"}]}}"#,
]);
