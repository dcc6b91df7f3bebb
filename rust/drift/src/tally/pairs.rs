//! One row, two answers: a version beside its shadow.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_schema::{Error, Result};

use super::losses::merge_mean;
use crate::sequential::document::{read_value, value};
use crate::sequential::{Mean, Proportion};

/// Rows that were answered twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// Rows with two answers.
    pub pairs: u64,
    /// Of those whose two answers are known: do they differ?
    pub disagree: Proportion,
    /// How far apart probabilities are; `None` where there are none.
    pub difference: Option<Mean>,
    /// Requests that the shadow failed.
    pub shadow_errors: u64,
    /// Requests that were to be copied and failed by fault of the version that answers.
    pub live_errors: u64,
    /// Requests that were to be copied and were not, because the shadow was behind.
    pub dropped: u64,
}

/// What is compared of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pairing<'a> {
    /// Two decisions, as texts, and the probabilities of all classes that each gives.
    Decisions {
        /// Are they the same? `None` where one is missing.
        same: Option<bool>,
        /// Of the version that answers.
        live: &'a [f64],
        /// Of its shadow.
        shadow: &'a [f64],
    },
    /// Two numbers, which agree if they are at most `tolerance` apart.
    Numbers {
        /// Of the version that answers.
        live: f64,
        /// Of its shadow.
        shadow: f64,
        /// How far apart they may be.
        tolerance: f64,
    },
}

impl Pairs {
    /// No row yet.
    #[must_use]
    pub fn new(probabilities: bool) -> Self {
        Self {
            difference: Mean::new(0.0, 1.0).ok().filter(|_| probabilities),
            ..Self::default()
        }
    }

    /// Takes in a row. A missing number disagrees with one that is there; NaN enters no mean.
    pub fn update(&mut self, row: &Pairing<'_>) {
        self.pairs += 1;
        let disagree = |pairs: &mut Self, differs: bool| {
            pairs.disagree.update(u64::from(differs), 1);
        };
        match row {
            Pairing::Decisions { same, live, shadow } => {
                if let Some(same) = same {
                    disagree(self, !same);
                }
                // Half of the summed distance: of two classes it is the distance of either.
                let apart = match (live.len(), shadow.len()) {
                    (1, 1) => live.iter().zip(*shadow).map(|(a, b)| (a - b).abs()).sum(),
                    (n, m) if n == m && n > 1 => {
                        let all = live.iter().zip(*shadow).map(|(a, b)| (a - b).abs());
                        0.5 * all.sum::<f64>()
                    }
                    _ => f64::NAN,
                };
                if let Some(mean) = &mut self.difference {
                    mean.update(apart);
                }
            }
            Pairing::Numbers {
                live,
                shadow,
                tolerance,
            } => match (live.is_nan(), shadow.is_nan()) {
                (true, true) => disagree(self, false),
                // Equal infinities agree, though they are not apart by a number.
                _ => disagree(
                    self,
                    !(live == shadow || (live - shadow).abs() <= *tolerance),
                ),
            },
        }
    }

    /// Takes in other rows of the same two versions.
    ///
    /// # Errors
    /// `InvalidInput` when their means have different ranges.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.pairs += other.pairs;
        self.disagree.merge(&other.disagree);
        self.shadow_errors += other.shadow_errors;
        self.live_errors += other.live_errors;
        self.dropped += other.dropped;
        merge_mean(&mut self.difference, other.difference.as_ref())
    }

    pub(super) fn write(&self) -> Written {
        Written {
            difference: self.difference.as_ref().map(value),
            disagree: value(&self.disagree),
            dropped: self.dropped,
            live_errors: self.live_errors,
            pairs: self.pairs,
            shadow_errors: self.shadow_errors,
        }
    }
}

/// Pairs as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difference: Option<Value>,
    disagree: Value,
    dropped: u64,
    live_errors: u64,
    pairs: u64,
    shadow_errors: u64,
}

impl TryFrom<Written> for Pairs {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Ok(Self {
            pairs: written.pairs,
            disagree: read_value(written.disagree)?,
            difference: written.difference.map(read_value).transpose()?,
            shadow_errors: written.shadow_errors,
            live_errors: written.live_errors,
            dropped: written.dropped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::Stream;

    #[test]
    fn decisions_and_probabilities_are_compared() {
        let mut pairs = Pairs::new(true);
        let mut row = |same, live: &[f64], shadow: &[f64]| {
            pairs.update(&Pairing::Decisions { same, live, shadow });
        };
        row(Some(true), &[0.25], &[0.75]);
        row(Some(false), &[0.5, 0.25, 0.25], &[0.25, 0.5, 0.25]);
        // What cannot be told counts as a pair only.
        row(None, &[f64::NAN], &[0.5]);
        row(None, &[0.5], &[]);
        assert_eq!(pairs.pairs, 4);
        assert_eq!(pairs.disagree.estimate(), Some(0.5));
        let difference = pairs.difference.unwrap();
        assert_eq!((difference.rows(), difference.estimate()), (2, Some(0.375)));
    }

    #[test]
    fn numbers_agree_within_the_tolerance() {
        for (live, shadow, tolerance, agree) in [
            (1.0, 1.0, 0.0, true),
            (1.0, 1.5, 0.5, true),
            (1.0, 1.5, 0.4, false),
            (f64::NAN, f64::NAN, 0.0, true),
            (f64::NAN, 1.0, 9.0, false),
            (f64::INFINITY, f64::INFINITY, 0.0, true),
            (f64::INFINITY, 1.0, 9.0, false),
        ] {
            let mut pairs = Pairs::new(false);
            pairs.update(&Pairing::Numbers {
                live,
                shadow,
                tolerance,
            });
            let disagree = pairs.disagree.estimate();
            assert_eq!(
                disagree,
                Some(if agree { 0.0 } else { 1.0 }),
                "{live} {shadow}"
            );
            assert_eq!(pairs.difference, None);
        }
    }
}
