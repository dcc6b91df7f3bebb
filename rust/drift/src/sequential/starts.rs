//! Where the evidence begins: a long quiet past must not hide a change.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::cells::CellsTest;
use super::interval::rows_to_go;

/// Starts that are kept. Ages between them about double, so a change is never diluted by more
/// than as much quiet time as has passed since.
pub const MOST_STARTS: usize = 12;

/// Starts whose evidence is computed at a look; leaving others out only lowers the e-value.
const PROMISING: usize = 2;

/// The rows since one look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Which look it began with, from 1; its weight is `1 / (look · (look + 1))`.
    pub look: u64,
    /// When the rows began, in seconds of the caller's clock.
    pub since: f64,
    /// Counts of the cells since.
    pub counts: Vec<u64>,
    /// Counts of what the rows are compared with, where that is not one baseline for all starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Vec<u64>>,
}

impl Start {
    /// What the choice of this start among all looks costs, as a logarithm.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        let look = self.look as f64;
        look.ln() + (look + 1.0).ln()
    }

    /// Rows since.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The counts as floats.
    #[must_use]
    pub fn live(&self) -> Vec<f64> {
        self.counts.iter().map(|&count| count as f64).collect()
    }

    /// The test against what its rows are compared with.
    #[must_use]
    pub fn test<'a>(&self, test: &'a CellsTest) -> Cow<'a, CellsTest> {
        match &self.reference {
            Some(counts) => Cow::Owned(test.against(counts)),
            None => Cow::Borrowed(test),
        }
    }

    /// `ln` of its share of the e-value.
    #[must_use]
    pub fn log_e(&self, test: &CellsTest, tolerance: f64) -> f64 {
        self.test(test).log_e(&self.live(), tolerance) - self.penalty()
    }

    /// Rows that are likely to be needed until this start alone reaches a level; see [`rows_to_go`].
    #[must_use]
    pub fn rows_to_go(&self, test: &CellsTest, tolerance: f64, level: f64) -> Option<u64> {
        let (live, test) = (self.live(), self.test(test));
        if !test.is_beyond(&live, tolerance) {
            return None;
        }
        rows_to_go(self.rows(), level, |factor| {
            let more: Vec<f64> = live.iter().map(|count| count * factor).collect();
            test.log_e(&more, tolerance) - self.penalty()
        })
    }
}

/// The e-process of one column: of those that begin with each look, weighted, the greatest (an
/// e-detector of Shin, Ramdas and Rinaldo 2024, with weights).
///
/// All weights add up to 1, so that even the sum over the starts *ever* reaches `1 / α` without a
/// change with a chance of at most `α`; the greatest is less, and is about one known start, whose
/// interval says the same. Of many starts some are forgotten, which only lowers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starts {
    looks: u64,
    /// Oldest first.
    starts: Vec<Start>,
}

impl Starts {
    /// Nothing was looked at yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            looks: 0,
            starts: Vec::new(),
        }
    }

    /// Takes in the counts of one more look, whose rows began at `since`. A `reference` is what the
    /// start that begins here is compared with, if that is not the baseline: rows seen before it.
    pub fn look(&mut self, counts: &[u64], since: f64, reference: Option<Vec<u64>>) {
        self.looks += 1;
        self.starts.push(Start {
            look: self.looks,
            since,
            counts: vec![0; counts.len()],
            reference,
        });
        for start in &mut self.starts {
            for (sum, count) in start.counts.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    /// Looks so far.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// The starts that are kept, oldest first.
    #[must_use]
    pub fn kept(&self) -> &[Start] {
        &self.starts
    }

    /// `ln` of the e-value after this look; and forgets starts that are not needed. Starts within the
    /// tolerance hold no evidence, and are not computed.
    pub fn log_e(&mut self, test: &CellsTest, tolerance: f64) -> f64 {
        let promising = self.promising(test, tolerance);
        let terms: Vec<f64> = (0..self.starts.len())
            .map(|place| match self.starts.get(place) {
                Some(start) if promising.contains(&place) => start.log_e(test, tolerance),
                _ => f64::NEG_INFINITY,
            })
            .collect();
        let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.starts.len() > MOST_STARTS {
            self.forget(&terms, most);
        }
        most
    }

    /// The start that holds most of the evidence; the first one, whose rows are most, without any.
    #[must_use]
    pub fn strongest(&self, test: &CellsTest, tolerance: f64) -> Option<&Start> {
        let promising = self.promising(test, tolerance);
        let starts = promising.iter().filter_map(|&place| self.starts.get(place));
        let scored = starts.map(|start| (start.log_e(test, tolerance), start));
        scored
            .max_by(|x, y| x.0.total_cmp(&y.0))
            .map(|(_, start)| start)
            .or_else(|| self.starts.first())
    }

    /// The starts beyond the tolerance that are likely to hold most of the evidence: it grows with the
    /// rows and the square of what is beyond. Computing it for all took twelve times as long.
    fn promising(&self, test: &CellsTest, tolerance: f64) -> Vec<usize> {
        let beyond = |start: &Start| {
            let found = start.test(test).distance(&start.live())?;
            (found > tolerance).then(|| start.rows() as f64 * (found - tolerance).powi(2))
        };
        let starts = self.starts.iter().enumerate();
        let mut scored: Vec<(f64, usize)> = starts
            .filter_map(|(place, start)| Some((beyond(start)?, place)))
            .collect();
        scored.sort_by(|x, y| y.0.total_cmp(&x.0));
        scored.truncate(PROMISING);
        scored.into_iter().map(|(_, place)| place).collect()
    }

    /// Forgets the start whose neighbours are nearest in age, in proportion; never the first, the
    /// last, or the one with the most evidence.
    fn forget(&mut self, terms: &[f64], most: f64) {
        let age = |place: usize| {
            let start = self.starts.get(place);
            (self.looks + 1).saturating_sub(start.map_or(0, |start| start.look)) as f64
        };
        let inner = 1..self.starts.len().saturating_sub(1);
        let spared = |place: &usize| most.is_finite() && terms.get(*place) == Some(&most);
        let nearest = inner
            .filter(|place| !spared(place))
            .min_by(|&x, &y| (age(x - 1) / age(x + 1)).total_cmp(&(age(y - 1) / age(y + 1))));
        if let Some(place) = nearest {
            self.starts.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_bounded_and_their_ages_about_double() {
        let test = CellsTest::new(&[500, 500], false);
        let mut starts = Starts::new();
        for look in 0..5_000u32 {
            starts.look(&[50, 50], f64::from(look), None);
            starts.log_e(&test, 0.1);
            assert!(starts.kept().len() <= MOST_STARTS);
        }
        let ages: Vec<u64> = starts
            .kept()
            .iter()
            .map(|start| 5_001 - start.look)
            .collect();
        assert_eq!((ages[0], ages[ages.len() - 1]), (5_000, 1));
        for pair in ages.windows(2) {
            assert!(pair[0] <= 3 * pair[1] + 1, "{ages:?}");
        }
        for start in starts.kept() {
            assert_eq!(start.rows(), 100 * (5_001 - start.look));
        }
    }

    #[test]
    fn a_long_quiet_past_does_not_hide_a_change() {
        let test = CellsTest::new(&[50_000, 50_000], false);
        let (mut starts, tolerance) = (Starts::new(), 0.05);
        for look in 0..1_000 {
            starts.look(&[500, 500], f64::from(look), None);
            assert!(starts.log_e(&test, tolerance) < 0.0);
        }
        let mut looks = 0;
        while starts.log_e(&test, tolerance) < 100f64.ln() {
            starts.look(&[350, 650], f64::from(1_000 + looks), None);
            looks += 1;
            assert!(looks < 20);
        }
        let strongest = starts.strongest(&test, tolerance).unwrap();
        assert!(strongest.since >= 995.0, "{}", strongest.since);
        assert_eq!(strongest.rows_to_go(&test, tolerance, 0.0), Some(0));
    }
}
