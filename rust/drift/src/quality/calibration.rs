//! Do probabilities come true as often as they say?

use serde::{Deserialize, Serialize};

/// Bins of equal width over the probabilities.
pub const BINS: usize = 10;
/// Labels that a bin's own gap needs to count as much as the belief that there is none.
const SHRINKAGE: f64 = 20.0;

/// Mean probability and observed rate in bins of equal width, as scikit-learn's
/// `calibration_curve(strategy="uniform")` has them: of two classes for the positive one, of more
/// for the one that was predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    bins: [Bin; BINS],
}

/// One bin of probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Rows in it.
    pub rows: f64,
    /// The sum of their probabilities.
    pub probabilities: f64,
    /// Those that came true.
    pub hits: f64,
}

impl Bin {
    /// The mean probability; `None` without rows.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.rows > 0.0).then(|| self.probabilities / self.rows)
    }

    /// The share that came true; `None` without rows.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.rows > 0.0).then(|| self.hits / self.rows)
    }
}

/// Which bin a probability falls into; one on an edge falls into the lower.
fn place(probability: f64) -> usize {
    (1..BINS)
        .filter(|edge| *edge as f64 * 0.1 < probability)
        .count()
}

impl Calibration {
    /// Takes in a probability and whether it came true; NaN is passed over.
    pub fn update(&mut self, probability: f64, hit: bool) {
        if probability.is_nan() {
            return;
        }
        if let Some(bin) = self.bins.get_mut(place(probability)) {
            bin.rows += 1.0;
            bin.probabilities += probability;
            bin.hits += f64::from(u8::from(hit));
        }
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.rows += more.rows;
            bin.probabilities += more.probabilities;
            bin.hits += more.hits;
        }
    }

    /// The bins, from low probabilities to high ones.
    #[must_use]
    pub const fn bins(&self) -> &[Bin; BINS] {
        &self.bins
    }

    /// Rows seen.
    #[must_use]
    pub fn rows(&self) -> f64 {
        self.bins.iter().map(|bin| bin.rows).sum()
    }

    /// The expected calibration error: the mean over rows of how far a bin's mean probability is
    /// from its rate. `None` of nothing.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let all = self.rows();
        let gaps: f64 = self
            .bins
            .iter()
            .map(|bin| (bin.probabilities - bin.hits).abs())
            .sum();
        (all > 0.0).then(|| gaps / all)
    }

    /// A probability as far as labels have corrected it: moved by the gap of its bin, by the less
    /// the fewer labels the bin has.
    #[must_use]
    pub fn corrected(&self, probability: f64) -> f64 {
        let Some(bin) = self.bins.get(place(probability)) else {
            return probability;
        };
        let gap = (bin.hits - bin.probabilities) / (bin.rows + SHRINKAGE);
        (probability + gap).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_lower_bin() {
        let places = [0.0, 0.1, 0.1 + 1e-9, 0.5, 0.95, 1.0].map(place);
        assert_eq!(places, [0, 0, 1, 4, 9, 9]);
    }

    #[test]
    fn many_labels_correct_a_probability_and_few_do_not() {
        let mut bins = Calibration::default();
        assert_eq!(bins.corrected(0.75), 0.75);
        for place in 0..10_000 {
            bins.update(0.75, place % 2 == 0);
        }
        assert!((bins.corrected(0.75) - 0.5).abs() < 0.001);
        assert_eq!(bins.corrected(0.25), 0.25);
        assert_eq!(bins.error(), Some(0.25));
    }
}
