//! Mean 0 and standard deviation 1 over the values seen by `fit` (the deviation of a population,
//! as in scikit-learn's `StandardScaler`). Missing values are not learned from; missing in, missing
//! out. A column without spread is only centred; one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Moments;

use super::learn::{Learn, figure, spread};
use crate::expression::{Entry, Expression, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standardize {}

/// `None` when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    mean: Option<f64>,
    std: Option<f64>,
}

impl Expression for Standardize {
    const NAME: &'static str = "standardize";
    type Fit = Learn<Moments, State>;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        Some(Learn::new(Moments::new(), |moments| {
            let finite = |value: Option<f64>, what| value.map(|x| figure(x, what)).transpose();
            Ok(State {
                mean: finite(moments.mean(), "mean")?,
                std: finite(moments.std(0), "deviation")?,
            })
        }))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let (mean, std) = match (state.mean, state.std) {
            (Some(mean), Some(std)) if std >= 0.0 => (mean, std),
            (None, None) => return Ok(Kernel::constant(f64::NAN)),
            _ => return Err(Error::state("standardize: mean and std do not fit")),
        };
        let scale = spread(mean, std);
        Ok(Kernel::map(move |value| finite((value - mean) * scale)))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Standardize>(&[
    r#"{"op":"standardize","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"standardize","input":{"op":"fill_null","strategy":"median","input":{"op":"col","name":"n"}}}"#,
]);
