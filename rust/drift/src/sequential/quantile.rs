//! A quantile of a stream: the latency that 99 of 100 requests keep.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Quantiles;

use super::document::{self, Versioned};
use super::interval::Interval;
use super::proportion::log_e_above;
use super::stream::Stream;
use crate::error::lift;

/// Values that are kept exactly; beyond, ranks carry the sketch's stated error.
const EXACT: usize = 16_384;
/// Values a level of the sketch beyond.
const LEVEL: usize = 2_048;

/// A quantile, tested and bounded at any time (Howard and Ramdas 2022): the quantile of level `τ` is
/// at most `x` exactly if at least the share `τ` of the rows is, and that is a proportion.
///
/// Values are kept in a quantile sketch whose rank error, 0 up to 16,384 values and known beyond,
/// widens the interval and lowers the evidence. NaN is not counted; infinities are. Merging is exact up
/// to the same error, in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    level: f64,
    values: Quantiles,
}

impl Quantile {
    /// No value yet; `level` is a share between 0 and 1, such as 0.99.
    pub fn new(level: f64) -> Result<Self> {
        Self::with_limits(level, EXACT, LEVEL)
    }

    /// As [`Quantile::new`], with another number of values that are kept exactly and, beyond, a level.
    pub(crate) fn with_limits(level: f64, exact: usize, thinned: usize) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::invalid(format!(
                "a quantile of level {level}: use a share between 0 and 1, such as 0.99"
            )));
        }
        Ok(Self {
            level,
            values: Quantiles::with_limits(exact, thinned).map_err(lift)?,
        })
    }

    /// Takes in one value.
    pub fn update(&mut self, value: f64) {
        if !value.is_nan() {
            self.values.update(value);
        }
    }

    /// Takes in many values.
    pub fn update_many(&mut self, values: &[f64]) {
        values.iter().for_each(|&value| self.update(value));
    }

    /// Takes in all that another of the same level has seen.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.level != other.level {
            return Err(Error::invalid(format!(
                "quantiles of level {} and {} cannot be merged: give both one level",
                self.level, other.level
            )));
        }
        self.values.merge(&other.values);
        Ok(())
    }

    /// The same stream with each value `x` as the greater of `ratio · x` and `x + plus`: a limit of
    /// "so many times, or by so much, slower", since the quantile moves as its values do.
    pub fn stretched(&self, ratio: f64, plus: f64) -> Result<Self> {
        if !(ratio.is_finite() && ratio > 0.0 && plus.is_finite()) {
            return Err(Error::invalid(format!(
                "values stretched by {ratio} and {plus}: use a finite ratio above 0, and a finite number to add"
            )));
        }
        let values = self
            .values
            .mapped(|value| (value * ratio).max(value + plus))
            .map_err(lift)?;
        Ok(Self {
            level: self.level,
            values,
        })
    }

    /// Versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Quantile::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read(text)
    }

    /// The share of rows that are at most the quantile.
    #[must_use]
    pub const fn level(&self) -> f64 {
        self.level
    }

    /// The least and the greatest value; 0 and 0 without any.
    pub(crate) fn range(&self) -> (f64, f64) {
        let ranks = self.ranks();
        let ends = ranks.steps.first().zip(ranks.steps.last());
        ends.map_or((0.0, 0.0), |((least, _), (greatest, _))| {
            (*least, *greatest)
        })
    }

    /// The values in rising order with the number of rows up to each, and the error of that number.
    pub(crate) fn ranks(&self) -> Ranks {
        let (below, above) = self.values.infinite();
        let mut steps = Vec::new();
        let mut rank = 0;
        let kept = self.values.kept().into_iter();
        let ends = [(f64::NEG_INFINITY, below), (f64::INFINITY, above)];
        let all = ends[..1]
            .iter()
            .copied()
            .chain(kept)
            .chain(ends[1..].iter().copied());
        for (value, weight) in all.filter(|(_, weight)| *weight > 0) {
            rank += weight;
            match steps.last_mut() {
                Some((last, count)) if *last == value => *count = rank as f64,
                _ => steps.push((value, rank as f64)),
            }
        }
        Ranks {
            steps,
            error: (self.values.rank_error() * self.values.count() as f64).ceil(),
            rows: rank as f64,
        }
    }
}

/// How many rows are at most a value.
pub(crate) struct Ranks {
    pub steps: Vec<(f64, f64)>,
    error: f64,
    rows: f64,
}

impl Ranks {
    /// `ln` of the e-value against "the share of rows ≤ `x` is at least `level`".
    pub fn log_e_above(&self, level: f64, x: f64, factor: f64) -> f64 {
        let at = self.steps.partition_point(|(value, _)| *value <= x);
        let most = (self.up_to(at) + self.error).min(self.rows);
        log_e_above((self.rows - most) * factor, self.rows * factor, 1.0 - level)
    }

    /// `ln` of the e-value against "the share of rows < `x` is at most `level`".
    pub fn log_e_below(&self, level: f64, x: f64, factor: f64) -> f64 {
        let at = self.steps.partition_point(|(value, _)| *value < x);
        let least = (self.up_to(at) - self.error).max(0.0);
        log_e_above(least * factor, self.rows * factor, level)
    }

    /// No evidence is less than this: what averaging over all shares costs (Krichevsky and Trofimov
    /// 1981), at most `½ ln n + ln 2`.
    pub fn least(&self, factor: f64) -> f64 {
        let rows = (self.rows * factor).max(1.0);
        -(0.5 * rows.ln() + std::f64::consts::LN_2) - 1e-9
    }

    fn up_to(&self, steps: usize) -> f64 {
        let last = steps.checked_sub(1).and_then(|last| self.steps.get(last));
        last.map_or(0.0, |(_, count)| *count)
    }
}

impl Versioned for Quantile {
    const WHAT: &'static str = "a sequential quantile";

    fn is_sound(&self) -> bool {
        Self::new(self.level).is_ok()
    }
}

impl Stream for Quantile {
    fn rows(&self) -> u64 {
        let (below, above) = self.values.infinite();
        self.values.count() + below + above
    }

    fn estimate(&self) -> Option<f64> {
        let ranks = self.ranks();
        let due = self.level * ranks.rows;
        let at = ranks.steps.partition_point(|(_, count)| *count < due);
        ranks.steps.get(at).map(|(value, _)| *value)
    }

    fn bounds(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    fn log_e_above(&self, bound: f64, factor: f64) -> f64 {
        self.ranks().log_e_above(self.level, bound, factor)
    }

    fn log_e_below(&self, bound: f64, factor: f64) -> f64 {
        self.ranks().log_e_below(self.level, bound, factor)
    }

    fn interval(&self, level: f64) -> Interval {
        let ranks = self.ranks();
        // What is excluded from below is a head of the values, and from above a tail.
        let head = ranks
            .steps
            .partition_point(|(value, _)| ranks.log_e_above(self.level, *value, 1.0) >= level);
        let tail = ranks
            .steps
            .partition_point(|(value, _)| ranks.log_e_below(self.level, *value, 1.0) < level);
        let value = |at: usize| ranks.steps.get(at).map(|(value, _)| *value);
        // Above the greatest value the count of rows below is that of all rows.
        let beyond = ranks.log_e_below(self.level, f64::INFINITY, 1.0) >= level;
        Interval {
            // Excluded values end before the next one that occurs.
            lower: match head {
                0 => f64::NEG_INFINITY,
                _ => value(head).unwrap_or(f64::INFINITY),
            },
            // Right above the value before, the count of rows below is the same already.
            upper: match tail {
                0 => f64::INFINITY,
                _ if tail == ranks.steps.len() && !beyond => f64::INFINITY,
                _ => value(tail - 1).unwrap_or(f64::INFINITY),
            },
        }
    }
}
