//! Centred at the median and divided by the distance of two quantiles, as scikit-learn's
//! `RobustScaler` does: outliers move neither. Missing values are not learned from; missing in,
//! missing out. A column without spread is only centred; one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Quantiles;

use super::learn::{Learn, divisor, figure};
use crate::expression::{Entry, Expression, number, sketch};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Robust {
    #[serde(default = "lower")]
    low: f64,
    #[serde(default = "upper")]
    high: f64,
}

const fn lower() -> f64 {
    0.25
}

const fn upper() -> f64 {
    0.75
}

/// `None` when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    median: Option<f64>,
    range: Option<f64>,
}

/// Checks two shares of the values.
pub(super) fn shares(low: f64, high: f64) -> Result<()> {
    if 0.0 <= low && low <= high && high <= 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "quantiles {low} and {high}: give shares from 0 to 1, the lower one first"
    )))
}

impl Expression for Robust {
    const NAME: &'static str = "robust_scale";
    type Fit = Learn<Quantiles, State>;

    fn check(&self) -> Result<()> {
        shares(self.low, self.high)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        let shares = [0.5, self.low, self.high];
        Some(Learn::new(
            Quantiles::new(),
            move |quantiles| match quantiles.quantiles(&shares).map_err(sketch)?.as_deref() {
                Some([median, low, high]) => Ok(State {
                    median: Some(figure(*median, "median")?),
                    range: Some(figure(high - low, "range")?),
                }),
                _ => Ok(State::default()),
            },
        ))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        match (state.median, state.range) {
            (None, None) => Ok(Kernel::constant(f64::NAN)),
            (Some(median), Some(range)) if range >= 0.0 => {
                let scale = divisor(range);
                Ok(Kernel::map(move |value| finite((value - median) / scale)))
            }
            _ => Err(Error::state("robust_scale: median and range do not fit")),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Robust>(&[
    r#"{"op":"robust_scale","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"robust_scale","low":0.1,"high":0.9,"input":{"op":"col","name":"n"}}"#,
]);
