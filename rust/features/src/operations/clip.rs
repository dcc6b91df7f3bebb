//! Numbers held between bounds. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clip {
    #[serde(default)]
    low: Option<f64>,
    #[serde(default)]
    high: Option<f64>,
}

impl Expression for Clip {
    const NAME: &'static str = "clip";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        match (self.low, self.high) {
            (None, None) => Err(Error::invalid("has no bound: give low, high or both")),
            (Some(low), Some(high)) if low > high => Err(Error::invalid(format!(
                "low {low} is above high {high}: exchange them"
            ))),
            _ => Ok(()),
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let low = self.low.unwrap_or(f64::NEG_INFINITY);
        let high = self.high.unwrap_or(f64::INFINITY);
        // `clamp` keeps NaN, and its panic on wrong bounds is excluded by `check`.
        Ok(Kernel::map(move |value| value.clamp(low, high)))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Clip>(&[
    r#"{"op":"clip","low":-1,"high":2.5,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"clip","high":3,"input":{"op":"col","name":"n"}}"#,
]);
