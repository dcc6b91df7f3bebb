//! The area under the ROC curve from counts of scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sequential::{Interval, share_interval};

/// Cells in each halving of the score.
const PER_OCTAVE: u64 = 128;
/// Halvings that are told apart: scores nearer to 0 or 1 than 2^-25 fall into one cell.
const OCTAVES: u64 = 24;
/// Bits of a float below the seven that tell the cells of an octave apart.
const SHIFT: u32 = 45;
/// Cells of the scores up to one half.
const HALF: u64 = PER_OCTAVE * OCTAVES + 2;

/// The area under the ROC curve, from scores in 0..1.
///
/// Scores are counted in up to 6,148 cells that are fine near 0 and near 1, where the scores of rare
/// events lie. Pairs within one cell count one half, so the area is off by at most
/// [`Auc::error`], which is half of the share of such pairs and is known exactly; scores spread
/// evenly give below 0.001. NaN is passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Auc {
    /// Weights of the negatives and of the positives.
    cells: BTreeMap<u16, (f64, f64)>,
}

impl Auc {
    /// Takes in the score of one row.
    pub fn update(&mut self, score: f64, positive: bool, weight: f64) {
        if score.is_nan() {
            return;
        }
        let (negatives, positives) = self.cells.entry(cell(score)).or_default();
        if positive {
            *positives += weight;
        } else {
            *negatives += weight;
        }
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (cell, (negatives, positives)) in &other.cells {
            let own = self.cells.entry(*cell).or_default();
            own.0 += negatives;
            own.1 += positives;
        }
    }

    /// Pairs in the right order, pairs within a cell, all pairs.
    fn pairs(&self) -> (f64, f64, f64) {
        let (mut below, mut positives, mut ordered, mut tied) = (0.0, 0.0, 0.0, 0.0);
        for (negative, positive) in self.cells.values() {
            ordered += positive * below;
            tied += positive * negative;
            below += negative;
            positives += positive;
        }
        (ordered, tied, positives * below)
    }

    /// The area: how likely a positive scores above a negative. `None` without both.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let (ordered, tied, all) = self.pairs();
        (all > 0.0).then(|| (ordered + tied / 2.0) / all)
    }

    /// How far the area may be from the one of the raw scores. `None` without both kinds.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let (_, tied, all) = self.pairs();
        (all > 0.0).then(|| tied / 2.0 / all)
    }

    /// The values that the scores do not exclude at a level of evidence, `ln(1 / α)` for each end.
    ///
    /// The area is the mean over all ways to put each row of the scarcer kind with one of the other,
    /// so it is spread no wider than the share among as many pairs that are independent (Hoeffding
    /// 1963, section 5): it is held to be the share of so many. Pairs of rows that came one after
    /// the other would say how rows of one hour compare, which is another question. `None` without
    /// both kinds.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let (value, error) = (self.value()?, self.error()?);
        let (negatives, positives) = self
            .cells
            .values()
            .fold((0.0, 0.0), |(n, p), cell| (n + cell.0, p + cell.1));
        let pairs = f64::min(negatives, positives);
        let found = share_interval(value * pairs, pairs, level);
        Some(Interval {
            lower: (found.lower - error).max(0.0),
            upper: (found.upper + error).min(1.0),
        })
    }
}

/// The cell of a score: never falls where the score rises.
fn cell(score: f64) -> u16 {
    let score = score.clamp(0.0, 1.0);
    let at = if score <= 0.5 {
        half(score)
    } else {
        // Exact, since the score is at least one half.
        2 * HALF - 1 - half(1.0 - score)
    };
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// The cell of a score up to one half: exponent and leading bits of the float itself.
fn half(score: f64) -> u64 {
    let least = (1.0 / f64::from(1_u32 << (OCTAVES + 1))).to_bits() >> SHIFT;
    let bits = score.abs().to_bits() >> SHIFT;
    (bits + 1).saturating_sub(least).min(HALF - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(scores: &[(f64, bool)]) -> Option<f64> {
        let (mut sum, mut all) = (0.0, 0.0);
        for (positive, _) in scores.iter().filter(|(_, y)| *y) {
            for (negative, _) in scores.iter().filter(|(_, y)| !*y) {
                all += 1.0;
                sum += match positive.partial_cmp(negative) {
                    Some(std::cmp::Ordering::Greater) => 1.0,
                    Some(std::cmp::Ordering::Equal) => 0.5,
                    _ => 0.0,
                };
            }
        }
        (all > 0.0).then(|| sum / all)
    }

    #[test]
    fn cells_rise_with_the_score_and_stay_within_bounds() {
        assert_eq!(cell(0.0), 0);
        assert_eq!(u64::from(cell(1.0)), 2 * HALF - 1);
        assert!(cell(0.5) < cell(0.5 + f64::EPSILON));
        let mut last = 0;
        for step in 0..=100_000 {
            let at = cell(f64::from(step) / 100_000.0);
            assert!(at >= last);
            last = at;
        }
        assert!(cell(1e-9) < cell(1e-6) && cell(1.0 - 1e-6) < cell(1.0 - 1e-7));
    }

    proptest! {
        #[test]
        fn the_error_holds_and_merging_is_the_whole(
            scores in prop::collection::vec((prop_oneof![0.0..1.0, 0.0..1e-4, 0.999..1.0], any::<bool>()), 0..120),
            split in 0_usize..120,
        ) {
            let mut whole = Auc::default();
            let (mut first, mut second) = (Auc::default(), Auc::default());
            for (place, (score, positive)) in scores.iter().enumerate() {
                whole.update(*score, *positive, 1.0);
                let part = if place < split { &mut first } else { &mut second };
                part.update(*score, *positive, 1.0);
            }
            first.merge(&second);
            prop_assert_eq!(&first, &whole);
            match (whole.value(), exact(&scores)) {
                (Some(found), Some(due)) => {
                    prop_assert!((found - due).abs() <= whole.error().unwrap() + 1e-12);
                }
                (found, due) => prop_assert_eq!(found, due),
            }
        }
    }

    #[test]
    fn evenly_spread_scores_are_told_apart() {
        let mut auc = Auc::default();
        for step in 0..100_000 {
            auc.update(f64::from(step) / 1e5, step % 3 == 0, 1.0);
        }
        assert!(auc.error().unwrap() < 0.001, "{:?}", auc.error());
    }
}
