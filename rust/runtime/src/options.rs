//! How a runtime, a model and a call are set up. The defaults are here and nowhere else.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidegate_batching::Limits;
use tidegate_drift::Windows;

/// Seconds since 1970: what windows and timestamps are told in.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Most bytes of answers that wait to be watched, by default.
pub const OBSERVATION_BYTES: usize = 64 << 20;

/// How a runtime is set up.
#[derive(Clone)]
pub struct Options {
    /// The wall clock.
    pub clock: Clock,
    /// Most bytes of answers that wait to be watched; beyond, they are dropped and counted.
    pub observation_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(0.0, |since| since.as_secs_f64())
            }),
            observation_bytes: OBSERVATION_BYTES,
        }
    }
}

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The digest that the registry holds for the bundle; without one the manifest is unverified.
    pub digest: Option<String>,
    /// How many rows share a batch, and how many wait.
    pub limits: Limits,
    /// When a window of watched rows closes.
    pub windows: Windows,
    /// Are inputs and answers watched, if the bundle has a baseline?
    pub watch: bool,
    /// May requests to a model without a feature set share a run, if its first dimensions are
    /// variable? False for a model whose rows depend on each other.
    pub merge: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            digest: None,
            limits: Limits::default(),
            windows: Windows::default(),
            watch: true,
            merge: true,
        }
    }
}

/// How one call is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// When the answer is of no use any more: work that waits beyond it is dropped.
    pub deadline: Option<Instant>,
    /// The protocol's priority: 1 is served first, larger numbers later; 0 is in the middle.
    pub priority: u32,
    /// Is this request watched? False for probes.
    pub watch: bool,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            deadline: None,
            priority: 0,
            watch: true,
        }
    }
}
