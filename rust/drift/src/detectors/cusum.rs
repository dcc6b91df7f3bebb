//! CUSUM: cumulated deviations from a mean taken at the start.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::{Direction, Kernel, MAX_MAGNITUDE, Signal, within};

/// The tabular CUSUM chart (Page 1954, "Continuous inspection schemes", Biometrika 41; Montgomery,
/// "Introduction to Statistical Quality Control", chapter 9): two sums of the deviations from a
/// reference, less a slack, that never fall below zero. Slack and threshold are multiples of the
/// reference's standard deviation, so units do not matter.
///
/// The reference is given, or taken from the first `min_count` values and then frozen: a running
/// one would follow the change that is to be found. At slack 0.5 and threshold 5 a steady normal
/// stream alarms once in some 470 values; raise the threshold for rarer alarms. A reference without
/// any spread alarms at the first other value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cusum {
    /// Values from which the reference is taken; at the last of them decisions begin.
    pub min_count: u64,
    /// Deviation that is harmless, in standard deviations.
    pub slack: f64,
    /// How far a sum may go, in standard deviations.
    pub threshold: f64,
    /// Which changes count.
    pub direction: Direction,
    /// The known mean of the steady stream; together with `std`.
    pub mean: Option<f64>,
    /// The known standard deviation of the steady stream.
    pub std: Option<f64>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Of the values that the reference is taken from (Welford 1962).
    count: u64,
    mean: f64,
    m2: f64,
    increase: f64,
    decrease: f64,
}

impl Default for Cusum {
    fn default() -> Self {
        Self {
            min_count: 30,
            slack: 0.5,
            threshold: 5.0,
            direction: Direction::Both,
            mean: None,
            std: None,
            state: State::default(),
        }
    }
}

impl Cusum {
    /// Mean and standard deviation of the steady stream, once they are known.
    fn reference(&self) -> Option<(f64, f64)> {
        if let (Some(mean), Some(std)) = (self.mean, self.std) {
            return Some((mean, std));
        }
        let state = &self.state;
        let spare = state.count.saturating_sub(1).max(1) as f64;
        (state.count >= self.min_count).then(|| (state.mean, (state.m2 / spare).sqrt()))
    }
}

impl Kernel for Cusum {
    fn check(&mut self) -> Result<()> {
        within("CUSUM", "slack", self.slack, 0.0, f64::MAX)?;
        within("CUSUM", "threshold", self.threshold, 0.0, f64::MAX)?;
        within(
            "CUSUM",
            "mean",
            self.mean.unwrap_or(0.0),
            -MAX_MAGNITUDE,
            MAX_MAGNITUDE,
        )?;
        within("CUSUM", "std", self.std.unwrap_or(0.0), 0.0, MAX_MAGNITUDE)?;
        if self.mean.is_some() != self.std.is_some() {
            return Err(Error::invalid(
                "CUSUM with half a reference: give mean and std, or neither",
            ));
        }
        if self.min_count == 0 {
            return Err(Error::invalid("min_count=0 of CUSUM: use at least 1"));
        }
        if self.state.m2 < 0.0 {
            return Err(Error::state("CUSUM with a negative variance"));
        }
        Ok(())
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        if self.mean.is_none() && self.state.count < self.min_count {
            let state = &mut self.state;
            state.count += 1;
            let delta = value - state.mean;
            state.mean += delta / state.count as f64;
            state.m2 += delta * (value - state.mean);
        }
        let Some((mean, std)) = self.reference() else {
            return Signal::Steady;
        };
        let (slack, deviation) = (self.slack * std, value - mean);
        let state = &mut self.state;
        state.increase = (state.increase + deviation - slack).max(0.0);
        state.decrease = (state.decrease - deviation - slack).max(0.0);
        if self
            .direction
            .passes(state.increase, state.decrease, self.threshold * std)
        {
            return Signal::Drift;
        }
        Signal::Steady
    }

    fn restart(&mut self) {
        self.state = State::default();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let (mean, std) = self.reference().unwrap_or((f64::NAN, f64::NAN));
        vec![
            ("mean", mean),
            ("std", std),
            ("increase", self.state.increase),
            ("decrease", self.state.decrease),
        ]
    }
}
