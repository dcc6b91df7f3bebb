//! ADWIN: a window that shrinks when its halves disagree.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::{Kernel, Signal, share};

/// Rows of buckets hold 2^i values each, so 64-bit counts cannot need more.
const MAX_ROWS: usize = 62;
/// Most buckets of a row.
const MAX_BUCKETS: usize = 1000;
/// Cuts closer to the bound than this are decided by the plain formula.
const SLACK: f64 = 1e-9;

/// Adaptive windowing (Bifet and Gavaldà 2007, "Learning from time-changing data with adaptive
/// windowing", SDM; variances by Babcock and others 2003): a window of recent values, kept as an
/// exponential histogram. When the means on both sides of any cut differ by more than chance
/// explains, the oldest values go and a change is reported. Memory grows with the logarithm of the
/// window's length.
///
/// As in river, the window is forgotten after a change; with `keep_window` what is left of it
/// stays, as in the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adwin {
    /// Bound on the rate of false alarms, as in the paper.
    pub delta: f64,
    /// Cuts are looked at after every so many values.
    pub clock: u64,
    /// Buckets of one size before two become one of the next; 2 to 1,000.
    pub max_buckets: usize,
    /// Fewest values on a side of a cut.
    pub min_window: u64,
    /// Values before the first look.
    pub grace: u64,
    /// Does what is left of the window outlive a change?
    pub keep_window: bool,
    state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Values seen since the start, for the clock.
    tick: u64,
    width: u64,
    total: f64,
    /// Squared deviations from the mean.
    m2: f64,
    /// Row `i` has buckets of 2^i values, the oldest first.
    rows: Vec<Vec<Bucket>>,
}

/// The sum of some values and their squared deviations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket(f64, f64);

impl Default for Adwin {
    fn default() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window: 5,
            grace: 10,
            keep_window: false,
            state: State::default(),
        }
    }
}

impl State {
    #[inline]
    fn insert(&mut self, value: f64, max_buckets: usize) {
        self.width += 1;
        let n = self.width as f64;
        if n > 1.0 {
            let delta = value - self.total / (n - 1.0);
            self.m2 += (n - 1.0) * delta * delta / n;
        }
        self.total += value;
        let mut bucket = Bucket(value, 0.0);
        for height in 0..MAX_ROWS {
            if self.rows.len() == height {
                self.rows.push(Vec::with_capacity(max_buckets + 1));
            }
            let row = &mut self.rows[height];
            row.push(bucket);
            if row.len() <= max_buckets {
                return;
            }
            // Two buckets become one of the next row.
            let (Bucket(first, m2), Bucket(second, more)) = (row[0], row[1]);
            row.drain(..2);
            let n = (1u64 << height) as f64;
            let apart = first / n - second / n;
            bucket = Bucket(first + second, m2 + more + n * 0.5 * apart * apart);
        }
    }

    /// Forgets the oldest bucket.
    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.last_mut() else {
            return;
        };
        if !row.is_empty() {
            let Bucket(total, m2) = row.remove(0);
            let size = 1u64 << (self.rows.len() - 1);
            self.width -= size;
            self.total -= total;
            let (n, rest) = (size as f64, self.width as f64);
            if rest > 0.0 {
                let apart = total / n - self.total / rest;
                self.m2 -= m2 + n * rest * apart * apart / (n + rest);
            }
        }
        while self.rows.last().is_some_and(Vec::is_empty) {
            self.rows.pop();
        }
    }

    /// Do the means on both sides of any cut differ by more than chance explains?
    fn disagrees(&self, delta: f64, min_window: f64) -> bool {
        let width = self.width as f64;
        let log = (2.0 * width.ln() / delta).ln();
        let variance = self.m2 / width;
        let (mut n0, mut u0) = (0.0, 0.0);
        let (mut n1, mut u1) = (width, self.total);
        for (height, row) in self.rows.iter().enumerate().rev() {
            let size = (1u64 << height) as f64;
            for &Bucket(total, _) in row {
                n0 += size;
                n1 -= size;
                u0 += total;
                u1 -= total;
                if n1 < min_window {
                    // Later cuts leave still less on this side.
                    return false;
                }
                if n0 < min_window {
                    continue;
                }
                let apart = (u0 / n0 - u1 / n1).abs();
                let inverse = 1.0 / (n0 - min_window + 1.0) + 1.0 / (n1 - min_window + 1.0);
                let linear = 2.0 / 3.0 * log * inverse;
                let under_root = 2.0 * inverse * variance * log;
                // Squares are compared first, since a root costs more than all the rest.
                let excess = apart - linear;
                if excess <= 0.0 || excess * excess < under_root * (1.0 - SLACK) {
                    continue;
                }
                if apart > under_root.sqrt() + linear {
                    return true;
                }
            }
        }
        false
    }
}

impl Kernel for Adwin {
    fn check(&mut self) -> Result<()> {
        share("ADWIN", "delta", self.delta)?;
        if self.clock == 0 || self.min_window == 0 {
            return Err(Error::invalid(
                "clock and min_window of ADWIN: use at least 1",
            ));
        }
        if !(2..=MAX_BUCKETS).contains(&self.max_buckets) {
            return Err(Error::invalid(format!(
                "max_buckets={} of ADWIN: use 2 to {MAX_BUCKETS}",
                self.max_buckets
            )));
        }
        let rows = &self.state.rows;
        let held = rows
            .iter()
            .enumerate()
            .map(|(height, row)| (row.len() as u64) << height.min(MAX_ROWS));
        if rows.len() > MAX_ROWS
            || rows.iter().any(|row| row.len() > self.max_buckets)
            || held.sum::<u64>() != self.state.width
        {
            return Err(Error::state("an ADWIN whose buckets contradict its width"));
        }
        Ok(())
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        self.state.insert(value, self.max_buckets);
        self.state.tick += 1;
        if !self.state.tick.is_multiple_of(self.clock) || self.state.width <= self.grace {
            return Signal::Steady;
        }
        let mut signal = Signal::Steady;
        while self.state.width > 1 && self.state.disagrees(self.delta, self.min_window as f64) {
            self.state.drop_oldest();
            signal = Signal::Drift;
        }
        signal
    }

    fn restart(&mut self) {
        if !self.keep_window {
            self.state = State::default();
        }
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let State {
            width, total, m2, ..
        } = self.state;
        let n = width as f64;
        vec![("width", n), ("mean", total / n), ("variance", m2 / n)]
    }
}
