//! Numbers made like those of a normal distribution by a power, whose exponent lambda is the most
//! likely one for the values that `fit` sees: Yeo and Johnson (2000) for all numbers, Box and Cox
//! (1964) for those above 0. The result is standardised unless that is left out. The numbers are
//! those of scikit-learn's `PowerTransformer`.
//!
//! All values up to a million are weighed, beyond that those that the summary of order statistics
//! keeps. Missing values are not learned from; missing in, missing out, and for Box and Cox what is
//! not above 0; a column without spread is only centred, one without a value gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Quantiles;

use super::learn::{Learn, figure, spread};
use super::minimum::minimum;
use crate::expression::{Entry, Expression, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

/// How exact lambda is: SciPy's tolerance.
const TOLERANCE: f64 = 1.48e-8;
/// Values this many times as large as the largest seen must not overflow (SciPy pull request 18852).
const ROOM: f64 = 20.0;

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    YeoJohnson,
    BoxCox,
}

impl Method {
    /// The logarithm that the power is taken of; negative for negative values of Yeo and Johnson.
    #[inline]
    fn log(self, value: f64) -> f64 {
        match self {
            Self::YeoJohnson => value.abs().ln_1p().copysign(value),
            // Not at 0, where some powers would be finite.
            Self::BoxCox if value <= 0.0 => f64::NAN,
            Self::BoxCox => value.ln(),
        }
    }

    /// The power of the value with that logarithm.
    #[inline]
    fn power(self, log: f64, lambda: f64) -> f64 {
        let (log, lambda, sign) = if self == Self::YeoJohnson && log < 0.0 {
            (-log, 2.0 - lambda, -1.0)
        } else {
            (log, lambda, 1.0)
        };
        // Near 0 the quotient is the logarithm, and at 0 it would be 0 / 0.
        if lambda.abs() < f64::EPSILON {
            sign * log
        } else {
            sign * (lambda * log).exp_m1() / lambda
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerTransform {
    #[serde(default)]
    method: Method,
    #[serde(default = "yes")]
    standardize: bool,
}

const fn yes() -> bool {
    true
}

/// `None` when no value was seen; mean and deviation are those of the powers.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    lambda: Option<f64>,
    mean: Option<f64>,
    std: Option<f64>,
}

/// Mean and variance of a population of weighted values. Sums are taken from the first of them, so
/// that a common offset costs no digits.
fn moments(values: impl Iterator<Item = (f64, f64)> + Clone, count: f64) -> (f64, f64) {
    let shift = values.clone().next().map_or(0.0, |first| first.0);
    let sum: f64 = values.clone().map(|(x, weight)| (x - shift) * weight).sum();
    let mean = shift + sum / count;
    let squares = values.map(|(x, weight)| (x - mean) * (x - mean) * weight);
    (mean, squares.sum::<f64>() / count)
}

/// The most likely lambda.
fn lambda(method: Method, logs: &[(f64, f64)], count: f64) -> f64 {
    let total: f64 = logs.iter().map(|(log, weight)| log * weight).sum();
    // Log-likelihood, negative to be minimised; without spread it says nothing.
    let unlikely = |lambda: f64| {
        let powers = logs
            .iter()
            .map(|&(log, weight)| (method.power(log, lambda), weight));
        let (_, variance) = moments(powers, count);
        let likely = (lambda - 1.0) * total - 0.5 * count * variance.ln();
        if likely.is_finite() {
            -likely
        } else {
            f64::INFINITY
        }
    };
    // Half the range of exponents keeps the variance finite.
    let tiny = (f64::MIN_POSITIVE.ln() - f64::EPSILON.ln()) / 2.0;
    let huge = (f64::MAX.ln() + f64::EPSILON.ln()) / 2.0;
    let (least, most) = match (logs.first(), logs.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => return 1.0,
    };
    let size = least.abs().max(most.abs());
    let (low, high) = match method {
        Method::YeoJohnson => {
            // ln(1 + 20 · max |x|) from ln(1 + max |x|).
            let room = (ROOM * size.exp_m1()).ln_1p();
            let (low, high) = (tiny / room, huge / room);
            if most < 0.0 {
                (2.0 - high, 2.0 - low)
            } else if least < 0.0 {
                ((2.0 - high).max(low), (2.0 - low).min(high))
            } else {
                (low, high)
            }
        }
        Method::BoxCox => {
            let room = size + ROOM.ln();
            (tiny / room, huge / room)
        }
    };
    minimum(low, high, TOLERANCE, unlikely)
}

fn learn(method: Method, standardize: bool, quantiles: &Quantiles) -> Result<State> {
    // In order of size, so that merged pieces give the very same sums.
    let kept = quantiles.kept();
    if kept.is_empty() {
        return Ok(State::default());
    }
    if let (Method::BoxCox, Some(&(least, _))) = (method, kept.first())
        && least <= 0.0
    {
        return Err(Error::invalid(format!(
            "box_cox takes numbers above 0 but learns from {least}: use yeo_johnson"
        )));
    }
    let count = quantiles.count() as f64;
    let weighted = |&(x, weight): &(f64, u64)| (x, weight as f64);
    let (mean, variance) = moments(kept.iter().map(weighted), count);
    figure(variance, "variance")?;
    let logs: Vec<(f64, f64)> = kept
        .iter()
        .map(|&(x, weight)| (method.log(x), weight as f64))
        .collect();
    // Without spread every lambda is as likely, and 1 changes nothing.
    let rounding = (count * mean * f64::EPSILON).powi(2);
    let lambda = if variance <= count * f64::EPSILON * variance + rounding {
        1.0
    } else {
        lambda(method, &logs, count)
    };
    let mut state = State {
        lambda: Some(lambda),
        ..State::default()
    };
    if standardize {
        let powers = logs
            .iter()
            .map(|&(log, weight)| (method.power(log, lambda), weight));
        let (mean, variance) = moments(powers, count);
        state.mean = Some(figure(mean, "mean")?);
        state.std = Some(figure(variance, "variance")?.sqrt());
    }
    Ok(state)
}

impl Expression for PowerTransform {
    const NAME: &'static str = "power_transform";
    type Fit = Learn<Quantiles, State>;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        let (method, standardize) = (self.method, self.standardize);
        Some(Learn::new(Quantiles::new(), move |quantiles| {
            learn(method, standardize, quantiles)
        }))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let Some(lambda) = state.lambda else {
            return Ok(Kernel::constant(f64::NAN));
        };
        let (mean, scale) = match (state.mean, state.std) {
            (None, None) if !self.standardize => (0.0, 1.0),
            (Some(mean), Some(std)) if self.standardize && std >= 0.0 => (mean, spread(mean, std)),
            _ => return Err(Error::state("power_transform: mean and std do not fit")),
        };
        let method = self.method;
        Ok(Kernel::map(move |value| {
            finite((method.power(method.log(value), lambda) - mean) * scale)
        }))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<PowerTransform>(&[
    r#"{"op":"power_transform","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"power_transform","standardize":false,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"power_transform","method":"box_cox","input":{"op":"add","left":{"op":"abs","input":{"op":"col","name":"x"}},"right":{"op":"literal","value":1}}}"#,
]);
