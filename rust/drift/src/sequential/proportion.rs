//! The share of rows of which something is true.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::document::{self, Versioned};
use super::interval::Interval;
use super::mixture::{falls_below, log_beta, log_dot};
use super::stream::Stream;

/// Counts of yes and no: errors, approvals, requests over a limit.
///
/// The e-value against a bound is the likelihood under the prior Beta(½, ½) over the greatest that a
/// share within the bound gives (Robbins 1970; Howard et al. 2021). Merging is exact, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proportion {
    count: u64,
    yes: u64,
}

impl Proportion {
    /// No row yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, yes: 0 }
    }

    /// Takes in `count` rows, of which it is true of `yes` (at most `count`).
    pub fn update(&mut self, yes: u64, count: u64) {
        self.count += count;
        self.yes += yes.min(count);
    }

    /// Rows of which it is true.
    #[must_use]
    pub const fn yes(&self) -> u64 {
        self.yes
    }

    /// Takes in all that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.yes += other.yes;
    }

    /// Versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Proportion::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read(text)
    }
}

impl Versioned for Proportion {
    const WHAT: &'static str = "a sequential proportion";

    fn is_sound(&self) -> bool {
        self.yes <= self.count
    }
}

/// `ln` of the evidence of counts, which need not be whole, that the share is above a bound.
pub(crate) fn log_e_above(yes: f64, count: f64, bound: f64) -> f64 {
    Counted::new(yes, count).log_e_above(bound)
}

/// Counts, which need not be whole, to be held against many bounds.
pub(crate) struct Counted {
    yes: f64,
    no: f64,
    mixture: f64,
}

impl Counted {
    /// Of `count` rows it is true of `yes`.
    pub fn new(yes: f64, count: f64) -> Self {
        let no = (count - yes).max(0.0);
        Self {
            yes,
            no,
            mixture: if count > 0.0 { log_beta(yes, no) } else { 0.0 },
        }
    }

    /// `ln` of the e-value against "the share is at most `bound`".
    pub fn log_e_above(&self, bound: f64) -> f64 {
        let count = self.yes + self.no;
        if count <= 0.0 {
            return 0.0;
        }
        // Of the shares within the bound the nearest to what was found says most.
        let nearest = (self.yes / count).min(bound).clamp(0.0, 1.0);
        let counts = [self.yes, self.no];
        self.mixture - log_dot(&counts, |side, _| [nearest, 1.0 - nearest][side])
    }
}

impl Proportion {
    /// How many rows it is true of, and of how many it is not, of so many times the rows.
    pub(crate) fn sides(&self, factor: f64) -> (Counted, Counted) {
        let (yes, count) = (self.yes as f64 * factor, self.count as f64 * factor);
        (Counted::new(yes, count), Counted::new(count - yes, count))
    }
}

impl Stream for Proportion {
    fn rows(&self) -> u64 {
        self.count
    }

    fn estimate(&self) -> Option<f64> {
        (self.count > 0).then(|| self.yes as f64 / self.count as f64)
    }

    fn bounds(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn log_e_above(&self, bound: f64, factor: f64) -> f64 {
        log_e_above(self.yes as f64 * factor, self.count as f64 * factor, bound)
    }

    fn log_e_below(&self, bound: f64, factor: f64) -> f64 {
        let no = (self.count - self.yes) as f64;
        log_e_above(no * factor, self.count as f64 * factor, 1.0 - bound)
    }

    fn interval(&self, level: f64) -> Interval {
        interval(self.yes as f64, self.count as f64, level)
    }
}

/// The interval of a share from counts, which need not be whole.
pub(crate) fn interval(yes: f64, count: f64, level: f64) -> Interval {
    let no = (count - yes).max(0.0);
    Interval {
        lower: falls_below((0.0, 1.0), level, |x| log_e_above(yes, count, x)),
        upper: 1.0 - falls_below((0.0, 1.0), level, |x| log_e_above(no, count, x)),
    }
}
