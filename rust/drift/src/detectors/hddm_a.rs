//! HDDM-A: Hoeffding's bound on means.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::mean::Mean;
use super::{Kernel, Signal, share};

/// HDDM with the A-test (Frías-Blanco and others 2014, "Online and non-parametric drift detection
/// methods based on Hoeffding's bounds", IEEE TKDE 27): the mean of all values is compared with the
/// mean up to the cut at which its upper bound was least. Takes values from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HddmA {
    /// Level of a warning.
    pub warning: f64,
    /// Level of a change.
    pub drift: f64,
    /// Do decreases count as well as increases?
    pub two_sided: bool,
    state: State,
    #[serde(skip)]
    logs: Logs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    all: Mean,
    /// Up to the cut for increases.
    low: Mean,
    /// Up to the cut for decreases.
    high: Mean,
}

/// Logarithms of the levels, taken once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Logs {
    bound: f64,
    drift: f64,
    warning: f64,
}

impl Default for HddmA {
    fn default() -> Self {
        Self {
            warning: 0.005,
            drift: 0.001,
            two_sided: false,
            state: State::default(),
            logs: Logs::default(),
        }
    }
}

/// Is the mean of all further above that of a part than chance explains? `sign` −1 turns it round.
#[inline]
fn moved(all: &Mean, part: &Mean, sign: f64, log: f64) -> bool {
    if part.count == all.count {
        return false;
    }
    let (n, m) = (all.count as f64, part.count as f64);
    let scale = (n - m) / m * (1.0 / n);
    sign * (all.mean - part.mean) >= (scale / 2.0 * log).sqrt()
}

impl Kernel for HddmA {
    const UNIT: bool = true;

    fn check(&mut self) -> Result<()> {
        share("HDDM-A", "warning", self.warning)?;
        share("HDDM-A", "drift", self.drift)?;
        self.logs = Logs {
            bound: (1.0 / self.drift).ln(),
            drift: (2.0 / self.drift).ln(),
            warning: (2.0 / self.warning).ln(),
        };
        Ok(())
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        let Self { state, logs, .. } = self;
        state.all.update(value);
        let all = state.all;
        let bound = |count: u64| (1.0 / (2.0 * count as f64) * logs.bound).sqrt();
        let spread = bound(all.count);
        if state.low.count == 0 || state.low.mean + bound(state.low.count) >= all.mean + spread {
            state.low = all;
        }
        let mut signal = Signal::Steady;
        if moved(&all, &state.low, 1.0, logs.drift) {
            signal = Signal::Drift;
        } else if moved(&all, &state.low, 1.0, logs.warning) {
            signal = Signal::Warning;
        }
        if self.two_sided {
            if state.high.count == 0
                || state.high.mean - bound(state.high.count) <= all.mean - spread
            {
                state.high = all;
            }
            if moved(&all, &state.high, -1.0, logs.drift) {
                signal = Signal::Drift;
            } else if signal == Signal::Steady && moved(&all, &state.high, -1.0, logs.warning) {
                signal = Signal::Warning;
            }
        }
        signal
    }

    fn restart(&mut self) {
        self.state = State::default();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("mean", self.state.all.mean),
            ("low", self.state.low.mean),
            ("high", self.state.high.mean),
        ]
    }
}
