//! KSWIN: Kolmogorov–Smirnov over a sliding window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::SplitMix64;

use super::{Kernel, Signal, share};

/// Most values of the sliding window.
pub const MAX_WINDOW: usize = 10_000;
/// Distances up to this are no change, however many values say so.
const LEAST_DISTANCE: f64 = 0.1;

/// Kolmogorov–Smirnov windowing (Raab, Heusinger and Schleif 2020, "Reactive soft prototype computing
/// for concept drift streams", Neurocomputing): the newest `recent` values are tested against as many,
/// drawn without replacement from the rest of a sliding window. The test is the exact two-sample one,
/// after every value. Finds changes of shape, too.
///
/// The draws come from `seed` by `SplitMix64`, whose state is one number; river draws by Python's
/// Mersenne Twister, whose state is 2.5 kB. So with one seed the two decide alike in distribution,
/// not value by value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kswin {
    /// Level of the test. It is made after every value, so choose it small.
    pub alpha: f64,
    /// Values of the sliding window; at most 10,000.
    pub window: usize,
    /// The newest of them that are tested; at most half of the window.
    pub recent: usize,
    /// Where the draws begin.
    pub seed: u64,
    state: State,
    #[serde(skip)]
    scratch: Scratch,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// The generator, once it has been drawn from.
    draws: Option<u64>,
    /// The oldest first.
    values: VecDeque<f64>,
    /// Greatest difference of counts at the last value.
    apart: u64,
}

/// Room to work in, and what follows from the parameters.
#[derive(Clone, Debug, Default)]
struct Scratch {
    /// Least difference of counts that is a change; `None` if no difference is.
    critical: Option<u64>,
    places: Vec<u32>,
    drawn: Vec<f64>,
    newest: Vec<f64>,
}

impl PartialEq for Scratch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Default for Kswin {
    fn default() -> Self {
        Self {
            alpha: 0.005,
            window: 100,
            recent: 30,
            seed: 0,
            state: State::default(),
            scratch: Scratch::default(),
        }
    }
}

/// The chance that two samples of `n` values of one continuous distribution lie `apart / n` or more
/// apart (Hodges 1958, "The significance probability of the Smirnov two-sample test", equation 5.3,
/// nested so that no term overflows).
fn p_value(n: u64, apart: u64) -> f64 {
    if apart == 0 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in (0..=n / apart).rev() {
        let mut ratio = 1.0;
        for j in 0..apart {
            let below = (n as f64) - (k * apart + j) as f64;
            ratio *= below.max(0.0) / (n + k * apart + j + 1) as f64;
        }
        sum = ratio * (1.0 - sum);
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// The greatest difference between the counts of values up to any point; both slices are sorted and
/// as long as each other.
fn greatest_difference(a: &[f64], b: &[f64]) -> u64 {
    let (mut i, mut j, mut most) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let at = a[i].min(b[j]);
        while i < a.len() && a[i] <= at {
            i += 1;
        }
        while j < b.len() && b[j] <= at {
            j += 1;
        }
        most = most.max(i.abs_diff(j));
    }
    most as u64
}

impl Kernel for Kswin {
    fn check(&mut self) -> Result<()> {
        share("KSWIN", "alpha", self.alpha)?;
        if self.window > MAX_WINDOW || self.recent == 0 || self.recent * 2 > self.window {
            return Err(Error::invalid(format!(
                "window={} and recent={} of KSWIN: use 1 ≤ recent ≤ window / 2 and window ≤ {MAX_WINDOW}",
                self.window, self.recent
            )));
        }
        if self.state.values.len() > self.window {
            return Err(Error::state("a KSWIN with more values than its window"));
        }
        let n = self.recent as u64;
        let far = (1..=n).collect::<Vec<_>>();
        // The chance falls as the difference grows, so the least one is found by halves.
        let at = far.partition_point(|&apart| {
            p_value(n, apart) > self.alpha || apart as f64 <= LEAST_DISTANCE * n as f64
        });
        self.scratch.critical = far.get(at).copied();
        Ok(())
    }

    fn step(&mut self, value: f64) -> Signal {
        let Self {
            window,
            recent,
            seed,
            state,
            scratch,
            ..
        } = self;
        if state.values.len() == *window {
            state.values.pop_front();
        }
        state.values.push_back(value);
        if state.values.len() < *window {
            return Signal::Steady;
        }
        let older = *window - *recent;
        let values = state.values.make_contiguous();
        scratch.newest.clear();
        scratch.newest.extend_from_slice(&values[older..]);
        scratch.places.clear();
        scratch.places.extend(0..older as u32);
        scratch.drawn.clear();
        let mut random = SplitMix64::new(state.draws.unwrap_or(*seed));
        for taken in 0..*recent {
            let place = taken + random.below((older - taken) as u64) as usize;
            scratch.places.swap(taken, place);
            scratch.drawn.push(values[scratch.places[taken] as usize]);
        }
        state.draws = Some(random.state());
        scratch.newest.sort_unstable_by(f64::total_cmp);
        scratch.drawn.sort_unstable_by(f64::total_cmp);
        state.apart = greatest_difference(&scratch.newest, &scratch.drawn);
        if scratch.critical.is_some_and(|least| state.apart >= least) {
            return Signal::Drift;
        }
        Signal::Steady
    }

    fn restart(&mut self) {
        self.state.values.clear();
        self.state.apart = 0;
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        let (n, apart) = (self.recent as u64, self.state.apart);
        vec![
            ("width", self.state.values.len() as f64),
            ("statistic", apart as f64 / n as f64),
            ("p_value", p_value(n, apart)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_scipys() {
        // scipy.stats.ks_2samp(…, method="exact") of samples of 30 and 100 values.
        for (n, apart, due) in [
            (30, 5, 0.807_963_154_090_164_3),
            (30, 14, 0.002_530_062_236_269_839_7),
            (30, 30, 1.691_123_389_214_474_2e-17),
            (100, 20, 0.036_384_287_874_917_33),
            (100, 28, 0.000_737_702_628_206_339_7),
            (5000, 200, 0.000_670_030_762_770_728_5),
        ] {
            let found = p_value(n, apart);
            assert!(
                (found / due - 1.0).abs() < 1e-9,
                "{n} {apart} {found} {due}"
            );
        }
        assert!((p_value(30, 0) - 1.0).abs() < 1e-12);
    }
}
