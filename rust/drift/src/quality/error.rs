//! How far predicted numbers are from what happened.

use serde::{Deserialize, Serialize};

use super::Mean;

/// Mean absolute error, root mean squared error and bias of predicted numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionError {
    absolute: Mean,
    squared: Mean,
    signed: Mean,
}

impl RegressionError {
    /// Takes in a predicted number and what happened; NaN is passed over.
    pub fn update(&mut self, predicted: f64, actual: f64) {
        let error = predicted - actual;
        if error.is_nan() {
            return;
        }
        self.absolute.update(error.abs(), 1.0);
        self.squared.update(error * error, 1.0);
        self.signed.update(error, 1.0);
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.absolute.merge(&other.absolute);
        self.squared.merge(&other.squared);
        self.signed.merge(&other.signed);
    }

    /// Rows seen.
    #[must_use]
    pub const fn rows(&self) -> f64 {
        self.absolute.weight()
    }

    /// The mean absolute error; `None` of nothing.
    #[must_use]
    pub fn mae(&self) -> Option<f64> {
        self.absolute.mean()
    }

    /// The root of the mean squared error; `None` of nothing.
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        self.squared.mean().map(f64::sqrt)
    }

    /// The mean of predicted less actual; `None` of nothing.
    #[must_use]
    pub fn bias(&self) -> Option<f64> {
        self.signed.mean()
    }
}
