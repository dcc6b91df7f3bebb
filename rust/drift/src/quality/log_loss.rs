//! The mean negative logarithm of the probability that was given to what happened.

use serde::{Deserialize, Serialize};

use super::Mean;

/// Probabilities are held this far from 0 and 1, so that one certain mistake is not an infinite
/// loss; the resolution of a float, as scikit-learn takes it for float64.
pub const CLIP: f64 = f64::EPSILON;

/// Log loss (cross-entropy), in natural units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogLoss(Mean);

impl LogLoss {
    /// Takes in the probability that was given to the class that came true.
    pub fn update(&mut self, probability: f64, weight: f64) {
        self.0.update(Self::of(probability), weight);
    }

    /// The loss of one prediction.
    #[must_use]
    pub fn of(probability: f64) -> f64 {
        -probability.clamp(CLIP, 1.0 - CLIP).ln()
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// The mean loss; `None` of nothing.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.mean()
    }
}
