//! Page–Hinkley: cumulated deviations from a running mean.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::mean::Mean;
use super::{Direction, Kernel, Signal, within};

/// The Page–Hinkley test (Page 1954, "Continuous inspection schemes", Biometrika 41; with the fading
/// factor of Sebastião and Fernandes 2017): deviations from the running mean, less `delta`, are
/// cumulated; when the sum has risen by more than `threshold` above its least value (or fallen below
/// its greatest), the mean has changed. Units are those of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageHinkley {
    /// Values before the first decision.
    pub min_count: u64,
    /// Deviation that is harmless.
    pub delta: f64,
    /// How far the sum may go.
    pub threshold: f64,
    /// What is left of the sum after each value: 1 forgets nothing.
    pub fading: f64,
    /// Which changes count.
    pub direction: Direction,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    mean: Mean,
    increase: f64,
    decrease: f64,
    /// The least of `increase` and the greatest of `decrease`, once there is a value.
    least: Option<f64>,
    greatest: Option<f64>,
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self {
            min_count: 30,
            delta: 0.005,
            threshold: 50.0,
            fading: 0.9999,
            direction: Direction::Both,
            state: State::default(),
        }
    }
}

impl Kernel for PageHinkley {
    fn check(&mut self) -> Result<()> {
        within("Page-Hinkley", "delta", self.delta, 0.0, f64::MAX)?;
        within("Page-Hinkley", "threshold", self.threshold, 0.0, f64::MAX)?;
        within("Page-Hinkley", "fading", self.fading, 0.0, 1.0)
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        let state = &mut self.state;
        state.mean.update(value);
        let deviation = value - state.mean.mean;
        state.increase = self.fading * state.increase + deviation - self.delta;
        state.decrease = self.fading * state.decrease + deviation + self.delta;
        let least = state
            .least
            .map_or(state.increase, |x| x.min(state.increase));
        let greatest = state
            .greatest
            .map_or(state.decrease, |x| x.max(state.decrease));
        (state.least, state.greatest) = (Some(least), Some(greatest));
        let (up, down) = (state.increase - least, greatest - state.decrease);
        if state.mean.count >= self.min_count && self.direction.passes(up, down, self.threshold) {
            return Signal::Drift;
        }
        Signal::Steady
    }

    fn restart(&mut self) {
        self.state = State::default();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let state = &self.state;
        vec![
            ("mean", state.mean.mean),
            ("increase", state.increase - state.least.unwrap_or(0.0)),
            ("decrease", state.greatest.unwrap_or(0.0) - state.decrease),
        ]
    }
}
