//! Values divided by the largest size that `fit` saw, as scikit-learn's `MaxAbsScaler` does: zero
//! stays zero. Missing values are not learned from; missing in, missing out. A column of zeros
//! stays as it is; one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Moments;

use super::learn::{Learn, divisor};
use crate::expression::{Entry, Expression, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxAbs {}

/// `None` when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    max: Option<f64>,
}

impl Expression for MaxAbs {
    const NAME: &'static str = "max_abs";
    type Fit = Learn<Moments, State>;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        Some(Learn::new(Moments::new(), |moments| {
            let ends = moments.min().zip(moments.max());
            Ok(State {
                max: ends.map(|(min, max)| min.abs().max(max.abs())),
            })
        }))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        match state.max {
            None => Ok(Kernel::constant(f64::NAN)),
            Some(max) if max >= 0.0 => {
                let scale = divisor(max);
                Ok(Kernel::map(move |value| finite(value / scale)))
            }
            Some(max) => Err(Error::state(format!("max_abs: {max} is no size"))),
        }
    }
}

pub(super) const ENTRY: Entry =
    Entry::of::<MaxAbs>(&[r#"{"op":"max_abs","input":{"op":"col","name":"x"}}"#]);
