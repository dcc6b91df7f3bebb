//! Mean 0 and standard deviation 1 over the values seen by `fit` (the deviation of a population,
//! as in scikit-learn's `StandardScaler`). Missing values are not learned from; missing in, missing
//! out. A column without spread is only centred; one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Moments;

use crate::expression::{Entry, Expression, Fit, number};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Spread below this share of the mean's size is rounding, not spread.
const NO_SPREAD: f64 = 10.0 * f64::EPSILON;

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

struct Learn(Moments);

impl Fit for Learn {
    type State = State;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        self.0.update_many(inputs[0].numbers());
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.0.merge(&other.0);
        Ok(())
    }

    fn finish(self) -> Result<State> {
        Ok(State {
            mean: self.0.mean(),
            std: self.0.std(0),
        })
    }
}

impl Expression for Standardize {
    const NAME: &'static str = "standardize";
    type Fit = Learn;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Learn> {
        Some(Learn(Moments::new()))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let (mean, std) = match (state.mean, state.std) {
            (Some(mean), Some(std)) if std >= 0.0 => (mean, std),
            (None, None) => return Ok(Kernel::constant(f64::NAN)),
            _ => return Err(Error::state("standardize: mean and std do not fit")),
        };
        let scale = if std <= NO_SPREAD * mean.abs() || std == 0.0 {
            1.0
        } else {
            1.0 / std
        };
        Ok(Kernel::map(move |value| (value - mean) * scale))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Standardize>(&[
    r#"{"op":"standardize","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"standardize","input":{"op":"fill_null","strategy":"median","input":{"op":"col","name":"n"}}}"#,
]);
