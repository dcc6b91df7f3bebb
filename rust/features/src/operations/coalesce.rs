//! The first of several values that is not missing; missing where all are.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::same_type;
use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Coalesce {}

impl Expression for Coalesce {
    const NAME: &'static str = "coalesce";
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        same_type(inputs)
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        if inputs.first() == Some(&Type::Text) {
            return Ok(Kernel::Texts(Box::new(|inputs, rows, out| {
                for row in 0..rows {
                    out.push(inputs.iter().find_map(|input| input.texts().get(row)));
                }
            })));
        }
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            let Some((first, others)) = inputs.split_first() else {
                return;
            };
            out.copy_from_slice(first.numbers());
            for other in others {
                for (out, &value) in out.iter_mut().zip(other.numbers()) {
                    *out = if out.is_nan() { value } else { *out };
                }
            }
        })))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Coalesce>(&[
    r#"{"op":"coalesce","inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"},{"op":"col","name":"b"},{"op":"literal","value":-1}]}"#,
    r#"{"op":"ordinal","input":{"op":"coalesce","inputs":[{"op":"col","name":"s"},{"op":"col","name":"k"}]}}"#,
    r#"{"op":"dt","part":"hour","input":{"op":"coalesce","inputs":[{"op":"col","name":"t"},{"op":"col","name":"u"}]}}"#,
]);
