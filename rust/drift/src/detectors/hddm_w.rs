//! HDDM-W: McDiarmid's bound on exponentially weighted means.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::{Kernel, Signal, share};

/// HDDM with the W-test (Frías-Blanco and others 2014, "Online and non-parametric drift detection
/// methods based on Hoeffding's bounds", IEEE TKDE 27): exponentially weighted means before and
/// after the cut at which the bound was tightest. Finds gradual changes. Takes values from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HddmW {
    /// Level of a warning.
    pub warning: f64,
    /// Level of a change.
    pub drift: f64,
    /// Weight of the newest value.
    pub weight: f64,
    /// Do decreases count as well as increases?
    pub two_sided: bool,
    state: State,
    #[serde(skip)]
    logs: (f64, f64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    all: Weighted,
    up: Cut,
    down: Cut,
}

/// The tightest bound so far, and the means before and after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    bound: Option<f64>,
    before: Weighted,
    after: Weighted,
}

/// An exponentially weighted mean, and the sum of its squared weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    mean: Option<f64>,
    squares: f64,
}

impl Default for Weighted {
    fn default() -> Self {
        Self {
            mean: None,
            squares: 1.0,
        }
    }
}

impl Weighted {
    #[inline]
    fn update(&mut self, value: f64, weight: f64) {
        let rest = 1.0 - weight;
        self.mean = Some(match self.mean {
            Some(mean) => weight * value + rest * mean,
            None => value,
        });
        self.squares = weight * weight + (rest * rest) * self.squares;
    }
}

/// Is the mean of one further above that of another than chance explains?
#[inline]
fn moved(low: &Weighted, high: &Weighted, log: f64) -> bool {
    match (low.mean, high.mean) {
        (Some(below), Some(above)) => {
            above - below > ((low.squares + high.squares) * log / 2.0).sqrt()
        }
        _ => false,
    }
}

impl Default for HddmW {
    fn default() -> Self {
        Self {
            warning: 0.005,
            drift: 0.001,
            weight: 0.05,
            two_sided: false,
            state: State::default(),
            logs: (0.0, 0.0),
        }
    }
}

impl Kernel for HddmW {
    const UNIT: bool = true;

    fn check(&mut self) -> Result<()> {
        share("HDDM-W", "warning", self.warning)?;
        share("HDDM-W", "drift", self.drift)?;
        share("HDDM-W", "weight", self.weight)?;
        self.logs = ((1.0 / self.drift).ln(), (1.0 / self.warning).ln());
        Ok(())
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        let (drift, warning) = self.logs;
        let (state, weight) = (&mut self.state, self.weight);
        state.all.update(value, weight);
        let mean = state.all.mean.unwrap_or(value);
        let spread = (state.all.squares * drift / 2.0).sqrt();
        if state.up.bound.is_none_or(|bound| mean + spread < bound) {
            state.up = Cut {
                bound: Some(mean + spread),
                before: state.all,
                after: Weighted::default(),
            };
        } else {
            state.up.after.update(value, weight);
        }
        let mut signal = Signal::Steady;
        if moved(&state.up.before, &state.up.after, drift) {
            signal = Signal::Drift;
        } else if moved(&state.up.before, &state.up.after, warning) {
            signal = Signal::Warning;
        }
        if self.two_sided {
            if state.down.bound.is_none_or(|bound| mean - spread > bound) {
                state.down = Cut {
                    bound: Some(mean - spread),
                    before: state.all,
                    after: Weighted::default(),
                };
            } else {
                state.down.after.update(value, weight);
            }
            if moved(&state.down.after, &state.down.before, drift) {
                signal = Signal::Drift;
            } else if signal == Signal::Steady
                && moved(&state.down.after, &state.down.before, warning)
            {
                signal = Signal::Warning;
            }
        }
        signal
    }

    fn restart(&mut self) {
        self.state = State::default();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let mean = |weighted: &Weighted| weighted.mean.unwrap_or(f64::NAN);
        vec![
            ("mean", mean(&self.state.all)),
            ("before", mean(&self.state.up.before)),
            ("after", mean(&self.state.up.after)),
        ]
    }
}
