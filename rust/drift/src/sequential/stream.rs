//! The face that sequential tests of one figure share.

use super::interval::{Interval, rows_to_go};

/// What is taken to be harmless, until there is evidence against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Harmless {
    /// The figure is at most this.
    AtMost(f64),
    /// The figure is at least this.
    AtLeast(f64),
    /// The figure is between these, both included.
    Between(f64, f64),
}

/// A figure of a stream (a mean, a share, a quantile, a difference) that may be looked at after
/// any row: evidence at level `α` (an e-value of `1 / α`) without reason is found *at any time* with a
/// chance of at most `α`.
///
/// Levels are natural logarithms of e-values: `ln(1 / α)`. `factor` stands for a stream that many
/// times as long whose rows look alike; it is 1 but in forecasts.
pub trait Stream {
    /// Rows seen.
    fn rows(&self) -> u64;

    /// The figure of the rows seen; `None` without any.
    fn estimate(&self) -> Option<f64>;

    /// The least and the greatest that the figure can be.
    fn bounds(&self) -> (f64, f64);

    /// `ln` of the e-value against "the figure is at most `bound`".
    fn log_e_above(&self, bound: f64, factor: f64) -> f64;

    /// `ln` of the e-value against "the figure is at least `bound`".
    fn log_e_below(&self, bound: f64, factor: f64) -> f64;

    /// The values of the figure that the evidence does not exclude. Each end fails, at any time, with
    /// a chance of at most `exp(−level)`.
    fn interval(&self, level: f64) -> Interval;

    /// `ln` of the e-value against what is taken to be harmless.
    fn log_e(&self, harmless: Harmless) -> f64 {
        log_e(self, harmless, 1.0)
    }

    /// How many rows more are likely to be needed until there is evidence against what is taken
    /// to be harmless, if they look like those seen; `None` if there will be none.
    fn rows_to_go(&self, harmless: Harmless, level: f64) -> Option<u64> {
        rows_to_go(self.rows(), level, |factor| log_e(self, harmless, factor))
    }
}

fn log_e<S: Stream + ?Sized>(stream: &S, harmless: Harmless, factor: f64) -> f64 {
    match harmless {
        Harmless::AtMost(bound) => stream.log_e_above(bound, factor),
        Harmless::AtLeast(bound) => stream.log_e_below(bound, factor),
        Harmless::Between(low, high) => either(
            stream.log_e_below(low, factor),
            stream.log_e_above(high, factor),
        ),
    }
}

/// Either side is an e-value for all figures between, and so is their mean.
pub(super) fn either(below: f64, above: f64) -> f64 {
    let most = below.max(above);
    most + (0.5 * ((below - most).exp() + (above - most).exp())).ln()
}
