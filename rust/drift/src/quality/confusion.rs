//! What was predicted against what happened, class by class.

use serde::{Deserialize, Serialize};

/// The confusion matrix of a classifier: rows are what happened, columns what was predicted.
/// Counts are floats, so that a row may count with a weight; whole ones are exact up to 2^53.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    classes: usize,
    counts: Vec<f64>,
}

impl Confusion {
    /// An empty matrix of so many classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0.0; classes * classes],
        }
    }

    /// Takes in one prediction; places beyond the classes are passed over.
    pub fn update(&mut self, actual: usize, predicted: usize, weight: f64) {
        if actual < self.classes
            && let Some(count) = self.counts.get_mut(actual * self.classes + predicted)
        {
            *count += weight;
        }
    }

    /// Takes in what another of as many classes has seen.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// How many classes there are.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The matrix, one row for each class that happened.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.counts.chunks(self.classes.max(1))
    }

    pub(crate) fn fits(&self, classes: usize) -> bool {
        self.classes == classes && self.counts.len() == classes * classes
    }

    fn at(&self, actual: usize, predicted: usize) -> f64 {
        let at = actual * self.classes + predicted;
        self.counts.get(at).copied().unwrap_or(0.0)
    }

    /// How often a class happened.
    #[must_use]
    pub fn support(&self, class: usize) -> f64 {
        (0..self.classes).map(|p| self.at(class, p)).sum()
    }

    /// How often a class was predicted.
    #[must_use]
    pub fn predicted(&self, class: usize) -> f64 {
        (0..self.classes).map(|a| self.at(a, class)).sum()
    }

    /// How often a class was predicted rightly.
    #[must_use]
    pub fn hits(&self, class: usize) -> f64 {
        self.at(class, class)
    }

    /// The share of right predictions; `None` of nothing.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let right: f64 = (0..self.classes).map(|class| self.at(class, class)).sum();
        share(right, self.counts.iter().sum())
    }

    /// Of those predicted as a class the share that were of it; `None` where none was predicted.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.at(class, class), self.predicted(class))
    }

    /// Of those that were of a class the share predicted so; `None` where none was.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.at(class, class), self.support(class))
    }

    /// The harmonic mean of precision and recall; `None` where the class neither happened nor was
    /// predicted.
    #[must_use]
    pub fn f1(&self, class: usize) -> Option<f64> {
        share(
            2.0 * self.at(class, class),
            self.support(class) + self.predicted(class),
        )
    }

    /// The mean of a figure over the classes that happened or were predicted; one that is not
    /// defined there counts as 0, as scikit-learn's `average="macro"` has it.
    #[must_use]
    pub fn macro_average(&self, figure: impl Fn(&Self, usize) -> Option<f64>) -> Option<f64> {
        let seen = |class: &usize| self.support(*class) + self.predicted(*class) > 0.0;
        let classes: Vec<usize> = (0..self.classes).filter(seen).collect();
        let sum: f64 = classes
            .iter()
            .map(|&class| figure(self, class).unwrap_or(0.0))
            .sum();
        share(sum, classes.len() as f64)
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_their_definitions() {
        let mut matrix = Confusion::new(3);
        for (actual, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1), (2, 0), (9, 0), (0, 9)] {
            matrix.update(actual, predicted, 1.0);
        }
        assert_eq!(matrix.accuracy(), Some(0.6));
        assert_eq!(matrix.precision(1), Some(2.0 / 3.0));
        assert_eq!(matrix.recall(0), Some(0.5));
        assert_eq!(matrix.f1(1), Some(0.8));
        assert_eq!((matrix.precision(2), matrix.recall(2)), (None, Some(0.0)));
        let all = matrix.macro_average(Confusion::precision).unwrap();
        assert!((all - (0.5 + 2.0 / 3.0) / 3.0).abs() < 1e-15);
        assert_eq!(Confusion::new(2).accuracy(), None);
    }
}
