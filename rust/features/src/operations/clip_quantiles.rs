//! Values held between two quantiles that `fit` saw: outliers become the quantile (winsorised).
//! Missing values are not learned from; missing in, missing out. A column without a value stays as
//! it is.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Quantiles;

use super::learn::Learn;
use super::robust::shares;
use crate::expression::{Entry, Expression, number, sketch};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClipQuantiles {
    #[serde(default = "lower")]
    low: f64,
    #[serde(default = "upper")]
    high: f64,
}

const fn lower() -> f64 {
    0.01
}

const fn upper() -> f64 {
    0.99
}

/// `None` when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    high: Option<f64>,
    low: Option<f64>,
}

impl Expression for ClipQuantiles {
    const NAME: &'static str = "clip_quantiles";
    type Fit = Learn<Quantiles, State>;

    fn check(&self) -> Result<()> {
        shares(self.low, self.high)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        let shares = [self.low, self.high];
        Some(Learn::new(
            Quantiles::new(),
            move |quantiles| match quantiles.quantiles(&shares).map_err(sketch)?.as_deref() {
                Some([low, high]) => Ok(State {
                    high: Some(*high),
                    low: Some(*low),
                }),
                _ => Ok(State::default()),
            },
        ))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        match (state.low, state.high) {
            (None, None) => Ok(Kernel::map(|value| value)),
            // `clamp` keeps NaN, and would panic on bounds that are not in order.
            (Some(low), Some(high)) if low <= high => {
                Ok(Kernel::map(move |value| value.clamp(low, high)))
            }
            _ => Err(Error::state("clip_quantiles: the bounds do not fit")),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<ClipQuantiles>(&[
    r#"{"op":"clip_quantiles","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"clip_quantiles","low":0.25,"high":0.5,"input":{"op":"col","name":"n"}}"#,
]);
