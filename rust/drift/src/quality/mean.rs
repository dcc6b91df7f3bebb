//! A weighted mean.

use serde::{Deserialize, Serialize};

/// The mean of values that count with a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    weight: f64,
    sum: f64,
}

impl Mean {
    /// Takes in one value.
    #[inline]
    pub fn update(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        self.sum += weight * value;
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        self.sum += other.sum;
    }

    /// The weights' sum.
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean; `None` of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}
