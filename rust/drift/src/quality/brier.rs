//! The mean squared error of probabilities (Brier 1950).

use serde::{Deserialize, Serialize};

use super::Mean;

/// Brier score: of two classes `(p1 - y)²`, which lies in 0..1; of more the sum over the classes
/// of `(p - y)²`, which lies in 0..2. So scikit-learn has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Brier(Mean);

impl Brier {
    /// Takes in the probabilities of all classes and the place of the one that came true.
    pub fn update(&mut self, probabilities: &[f64], actual: usize, weight: f64) {
        self.0.update(Self::of(probabilities, actual), weight);
    }

    /// The score of one prediction.
    #[must_use]
    pub fn of(probabilities: &[f64], actual: usize) -> f64 {
        let target = |class| f64::from(u8::from(class == actual));
        if let [_, positive] = probabilities {
            return (positive - target(1)).powi(2);
        }
        let squares = probabilities.iter().enumerate();
        squares.map(|(class, p)| (p - target(class)).powi(2)).sum()
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// The mean score; `None` of nothing.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.mean()
    }
}
