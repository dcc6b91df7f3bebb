//! A ratio that has a value where the divisor is 0. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::arithmetic::signed;
use crate::expression::{Entry, Expression, Inputs, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SafeDivide {
    /// What a division by zero gives.
    #[serde(default)]
    default: f64,
}

impl Expression for SafeDivide {
    const NAME: &'static str = "safe_divide";
    const INPUTS: Inputs = Inputs::Named(&["left", "right"]);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if self.default.is_finite() {
            return Ok(());
        }
        Err(Error::invalid(
            "the default is infinite: give a finite number",
        ))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let default = self.default;
        Ok(Kernel::zip(move |left, right| {
            if right == 0.0 && !left.is_nan() {
                default
            } else {
                finite(left / right)
            }
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, "/")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<SafeDivide>(&[
    r#"{"op":"safe_divide","default":-1,"left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
    r#"{"op":"safe_divide","left":{"op":"col","name":"n"},"right":{"op":"col","name":"b"}}"#,
]);
