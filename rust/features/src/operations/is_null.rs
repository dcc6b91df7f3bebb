//! Is a value missing? 1 or 0, never missing itself.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IsNull {}

impl Expression for IsNull {
    const NAME: &'static str = "is_null";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Columns] => Err(takes("one value", Type::Columns)),
            _ => Ok(Type::Bool),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        Ok(if inputs.first() == Some(&Type::Text) {
            Kernel::read(|text| f64::from(text.is_none()))
        } else {
            Kernel::map(|value| f64::from(value.is_nan()))
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_is_null", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<IsNull>(&[
    r#"{"op":"is_null","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"t"}}"#,
]);
