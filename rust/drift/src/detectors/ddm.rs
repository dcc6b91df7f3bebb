//! DDM: an error rate far above its best.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::mean::Mean;
use super::{Kernel, Signal, within};

/// The drift detection method (Gama, Medas, Castillo and Rodrigues 2004, "Learning with drift
/// detection", SBIA): the error rate plus its standard deviation is compared with the least that it
/// has been, so only increases are found. Takes 0 for right and 1 for wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ddm {
    /// Values after which decisions begin.
    pub min_count: u64,
    /// Standard deviations above the best at which a warning begins.
    pub warning: f64,
    /// Standard deviations above the best that are a change.
    pub drift: f64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    rate: Mean,
    /// Rate and standard deviation when their sum was least.
    best: Option<(f64, f64)>,
}

impl Default for Ddm {
    fn default() -> Self {
        Self {
            min_count: 30,
            warning: 2.0,
            drift: 3.0,
            state: State::default(),
        }
    }
}

impl Kernel for Ddm {
    const UNIT: bool = true;

    fn check(&mut self) -> Result<()> {
        within("DDM", "drift", self.drift, 0.0, f64::MAX)?;
        within("DDM", "warning", self.warning, 0.0, self.drift)
    }

    #[inline]
    fn step(&mut self, value: f64) -> Signal {
        let state = &mut self.state;
        state.rate.update(value);
        let (rate, count) = (state.rate.mean, state.rate.count);
        if count <= self.min_count {
            return Signal::Steady;
        }
        // A rate that rounding carried above 1 has no variance.
        let std = (rate * (1.0 - rate) / count as f64).max(0.0).sqrt();
        let (best, spread) = match state.best {
            Some((best, spread)) if rate + std > best + spread => (best, spread),
            _ => (rate, std),
        };
        state.best = Some((best, spread));
        if rate + std > best + self.drift * spread {
            Signal::Drift
        } else if rate + std > best + self.warning * spread {
            Signal::Warning
        } else {
            Signal::Steady
        }
    }

    fn restart(&mut self) {
        self.state = State::default();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let (best, std) = self.state.best.unwrap_or((f64::NAN, f64::NAN));
        vec![
            ("mean", self.state.rate.mean),
            ("best", best),
            ("best_std", std),
        ]
    }
}
