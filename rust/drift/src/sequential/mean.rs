//! The mean of values with a known range.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::document::{self, Versioned};
use super::interval::Interval;
use super::mixture::{falls_below, log_sum_exp};
use super::stream::Stream;

/// Bets in the mixture, from the largest to ones that pay after 10¹³ rows.
const BETS: usize = 32;
/// The largest bet, as a share of the stake; each next one is [`SMALLER`] times the one before.
const LARGEST: f64 = 0.9;
const SMALLER: f64 = 0.6;

/// Sums from which a mean is tested at any time: losses, errors, scores, times under a timeout.
///
/// For a bet `λ` in [0, 1) and a mean of at most `m`, all values mapped to [0, 1],
/// `exp(λ Σ (x − m) − ψ(λ) Σ (x − μ̂)²)` with `ψ(λ) = −ln(1 − λ) − λ` and the mean `μ̂` of the values
/// before each one is a supermartingale (empirical Bernstein; Howard et al. 2021, Waudby-Smith and
/// Ramdas 2024). The e-value is its average over 32 bets. Values may depend on each other as long as
/// each one's expectation, given those before, obeys the bound; the interval then holds the
/// average of these expectations.
///
/// States merge by addition: of streams over different rows, the product of supermartingales of
/// one bet is one again, whoever predicted `μ̂`. NaN is not counted; values outside of the range count
/// as its nearer end, and are told by [`Mean::clipped`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    low: f64,
    high: f64,
    count: u64,
    clipped: u64,
    /// Of the values mapped to [0, 1].
    sum: f64,
    /// Squared distances of each from the mean before it.
    spread: f64,
}

impl Mean {
    /// No value yet, of a range.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        if !(low.is_finite() && high.is_finite() && low < high && (high - low).is_finite()) {
            return Err(Error::invalid(format!(
                "values from {low} to {high}: give a finite range whose low end is below its high end"
            )));
        }
        Ok(Self {
            low,
            high,
            count: 0,
            clipped: 0,
            sum: 0.0,
            spread: 0.0,
        })
    }

    /// Takes in one value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let x = (value - self.low) / (self.high - self.low);
        let inside = x.clamp(0.0, 1.0);
        self.clipped += u64::from(inside != x);
        // Half a row at the middle stands for the values before the first.
        let mean = (self.sum + 0.25) / (self.count as f64 + 0.5);
        self.spread += (inside - mean) * (inside - mean);
        self.sum += inside;
        self.count += 1;
    }

    /// Takes in many values.
    pub fn update_many(&mut self, values: &[f64]) {
        values.iter().for_each(|&value| self.update(value));
    }

    /// Takes in all that another of the same range has seen.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.low, self.high) != (other.low, other.high) {
            return Err(Error::invalid(format!(
                "means of values from {} to {} and from {} to {} cannot be merged: give both one range",
                self.low, self.high, other.low, other.high
            )));
        }
        self.count += other.count;
        self.clipped += other.clipped;
        self.sum += other.sum;
        self.spread += other.spread;
        Ok(())
    }

    /// Values that were outside of the range.
    #[must_use]
    pub const fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Mean::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read(text)
    }

    fn width(&self) -> f64 {
        self.high - self.low
    }

    /// `ln` of the average over the bets, for the sum of `x − m`.
    fn log_wealth(&self, sum: f64, factor: f64) -> f64 {
        let bets = (0..BETS).map(|bet| LARGEST * SMALLER.powi(bet as i32));
        let term = |bet: f64| {
            let psi = -(-bet).ln_1p() - bet;
            factor * (bet * sum - psi * self.spread)
        };
        log_sum_exp(bets.map(term)) - (BETS as f64).ln()
    }
}

impl Versioned for Mean {
    const WHAT: &'static str = "a sequential mean";

    fn is_sound(&self) -> bool {
        let rows = self.count as f64;
        Self::new(self.low, self.high).is_ok()
            && (0.0..=rows * (1.0 + 1e-9)).contains(&self.sum)
            && (0.0..=rows * (1.0 + 1e-9)).contains(&self.spread)
            && self.clipped <= self.count
    }
}

impl Stream for Mean {
    fn rows(&self) -> u64 {
        self.count
    }

    fn estimate(&self) -> Option<f64> {
        (self.count > 0).then(|| self.low + self.width() * self.sum / self.count as f64)
    }

    fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn log_e_above(&self, bound: f64, factor: f64) -> f64 {
        let bound = (bound - self.low) / self.width();
        self.log_wealth(self.sum - self.count as f64 * bound, factor)
    }

    fn log_e_below(&self, bound: f64, factor: f64) -> f64 {
        let bound = (bound - self.low) / self.width();
        self.log_wealth(self.count as f64 * bound - self.sum, factor)
    }

    fn interval(&self, level: f64) -> Interval {
        let range = self.bounds();
        let mirrored = |x: f64| self.low + self.high - x;
        Interval {
            lower: falls_below(range, level, |x| self.log_e_above(x, 1.0)),
            upper: mirrored(falls_below(range, level, |x| {
                self.log_e_below(mirrored(x), 1.0)
            })),
        }
    }
}
