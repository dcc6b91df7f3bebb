//! Fits of one column of numbers that several expressions share.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_schema::{Error, Result};
use tidegate_sketch::{Moments, Quantiles};

use crate::expression::Fit;
use crate::value::Values;

/// Makes a state of what was summarised.
type Finish<T, S> = Box<dyn FnOnce(&T) -> Result<S> + Send>;

/// A summary of one column.
pub(super) trait Summary: Send + 'static {
    fn take(&mut self, values: &[f64]);
    fn join(&mut self, other: &Self);
}

impl Summary for Moments {
    fn take(&mut self, values: &[f64]) {
        self.update_many(values);
    }

    fn join(&mut self, other: &Self) {
        self.merge(other);
    }
}

impl Summary for Quantiles {
    fn take(&mut self, values: &[f64]) {
        self.update_many(values);
    }

    fn join(&mut self, other: &Self) {
        self.merge(other);
    }
}

/// Learns a state `S` from a summary `T` of the one input.
pub(super) struct Learn<T, S> {
    summary: T,
    finish: Finish<T, S>,
    state: PhantomData<S>,
}

impl<T, S> Learn<T, S> {
    /// Starts with an empty summary.
    pub(super) fn new(summary: T, finish: impl FnOnce(&T) -> Result<S> + Send + 'static) -> Self {
        Self {
            summary,
            finish: Box::new(finish),
            state: PhantomData,
        }
    }
}

impl<T: Summary, S: Serialize + DeserializeOwned + Default + Send + 'static> Fit for Learn<T, S> {
    type State = S;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        self.summary.take(inputs[0].numbers());
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.summary.join(&other.summary);
        Ok(())
    }

    fn finish(self) -> Result<S> {
        (self.finish)(&self.summary)
    }
}

/// A figure of a state, which must be finite: JSON holds no other.
pub(super) fn figure(value: f64, what: &str) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::invalid(format!(
        "the {what} of the values exceeds 64-bit floats: scale the column down, or clip it"
    )))
}

/// Divides by a scale as scikit-learn does: what has no spread is not scaled.
pub(super) fn divisor(scale: f64) -> f64 {
    if scale < 10.0 * f64::EPSILON {
        1.0
    } else {
        scale
    }
}

/// Spread below this share of the mean's size is rounding, not spread.
const NO_SPREAD: f64 = 10.0 * f64::EPSILON;

/// The factor that makes a deviation 1; what has no spread is not scaled.
pub(super) fn spread(mean: f64, std: f64) -> f64 {
    if std <= NO_SPREAD * mean.abs() || std == 0.0 {
        1.0
    } else {
        1.0 / std
    }
}
