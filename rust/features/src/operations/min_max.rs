//! The range seen by `fit` mapped to 0 to 1, as scikit-learn's `MinMaxScaler` does: later values
//! outside the range leave 0 to 1 (use `clip` before). Missing values are not learned from; missing
//! in, missing out. A column without spread maps its value to 0; one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Moments;

use super::learn::Learn;
use crate::expression::{Entry, Expression, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinMax {}

/// `None` when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    max: Option<f64>,
    min: Option<f64>,
}

impl Expression for MinMax {
    const NAME: &'static str = "min_max";
    type Fit = Learn<Moments, State>;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        Some(Learn::new(Moments::new(), |moments| {
            Ok(State {
                max: moments.max(),
                min: moments.min(),
            })
        }))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let (min, max) = match (state.min, state.max) {
            (Some(min), Some(max)) if min <= max => (min, max),
            (None, None) => return Ok(Kernel::constant(f64::NAN)),
            _ => return Err(Error::state("min_max: min and max do not fit")),
        };
        let range = max - min;
        let scale = if range == 0.0 { 1.0 } else { 1.0 / range };
        Ok(Kernel::map(move |value| finite((value - min) * scale)))
    }
}

pub(super) const ENTRY: Entry =
    Entry::of::<MinMax>(&[r#"{"op":"min_max","input":{"op":"col","name":"x"}}"#]);
