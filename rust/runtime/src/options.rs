//! How a runtime, a model and a call are set up. The defaults are here and nowhere else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_batching::{Limits, MAX_INSTANCES};
use tidegate_drift::{AlarmOptions, Baseline, Windows};
use tidegate_predictionlog::PredictionId;
use tidegate_predictionlog::log::Log;
use tidegate_schema::{Error, Result};

use crate::routing::Routed;

/// Seconds since 1970: what windows and timestamps are told in.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Most bytes of answers that wait to be watched, by default.
pub const OBSERVATION_BYTES: usize = 64 << 20;

/// Most bytes of predictions that await their labels, by default.
pub const FEEDBACK_BYTES: usize = 64 << 20;

/// The seconds of a window of quality, by default.
pub const QUALITY_SECONDS: f64 = 3_600.0;

/// How a runtime is set up.
#[derive(Clone)]
pub struct Options {
    /// The wall clock.
    pub clock: Clock,
    /// Most bytes of answers that wait to be watched; beyond, they are dropped and counted.
    pub observation_bytes: usize,
    /// Most bytes of predictions that await their labels; beyond, the oldest leave. 0 keeps none.
    pub feedback_bytes: usize,
    /// The folder in which they survive the process; nowhere by default.
    pub feedback_folder: Option<PathBuf>,
    /// The seconds of a window of quality.
    pub quality_seconds: f64,
    /// Where predictions and feedback are written down; nowhere by default. Whoever gives it takes
    /// its files.
    pub log: Option<Arc<Log>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(0.0, |since| since.as_secs_f64())
            }),
            observation_bytes: OBSERVATION_BYTES,
            feedback_bytes: FEEDBACK_BYTES,
            feedback_folder: None,
            quality_seconds: QUALITY_SECONDS,
            log: None,
        }
    }
}

/// Most instances of a model where none are asked for.
const MOST_BY_CORES: usize = 4;

/// The instances of a model where none are asked for: one for each two cores, at most four. The
/// other cores read requests, compute features and write answers; each instance runs its model on
/// one thread.
#[must_use]
pub fn instances_by_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, MOST_BY_CORES)
}

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The digest that the registry holds for the bundle; without one the manifest is unverified.
    pub digest: Option<String>,
    /// The latency objective, how many rows share a batch, and how much waits.
    pub limits: Limits,
    /// How many batches of the model run at the same time; `None` is [`instances_by_cores`].
    pub instances: Option<usize>,
    /// When a window of watched rows closes.
    pub windows: Windows,
    /// What an alarm is.
    pub alarms: AlarmOptions,
    /// What is compared with instead of the bundle's own baseline: that of another version.
    pub baseline: Option<Arc<Baseline>>,
    /// Are inputs and answers watched, if the bundle has a baseline?
    pub watch: bool,
    /// The raw column by whose values quality and drift are told apart.
    pub segment: Option<String>,
    /// Was it named for all models? It is then passed over by those that have no such column.
    pub segment_for_all: bool,
    /// The column that the bundle names: counts where no other is named that the model has.
    pub own_segment: Option<String>,
    /// May requests to a model without a feature set share a run, if its first dimensions are
    /// variable? False for a model whose rows depend on each other.
    pub merge: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            digest: None,
            limits: Limits::default(),
            instances: None,
            windows: Windows::default(),
            alarms: AlarmOptions::default(),
            baseline: None,
            watch: true,
            segment: None,
            segment_for_all: false,
            own_segment: None,
            merge: true,
        }
    }
}

impl LoadOptions {
    /// Are the bounds of batching possible?
    ///
    /// # Errors
    /// `InvalidInput` that names the first one that is not.
    pub fn check(&self) -> Result<()> {
        self.limits.check().map_err(Error::invalid)?;
        match self.instances {
            Some(count) if count == 0 || count > MAX_INSTANCES => Err(Error::invalid(format!(
                "instances is {count}: give 1 to {MAX_INSTANCES}"
            ))),
            _ => Ok(()),
        }
    }
}

/// How one call is to be answered.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// When the answer is of no use any more: work that waits beyond it is dropped.
    pub deadline: Option<Instant>,
    /// How long the request had waited, unseen, before it is submitted: counts towards the
    /// objective.
    pub waited: Duration,
    /// The protocol's priority: 1 is served first, larger numbers later; 0 is in the middle.
    pub priority: u32,
    /// Is this request watched? False for probes.
    pub watch: bool,
    /// Who asks, where callers have to say so.
    pub caller: Option<Arc<str>>,
    /// The prediction that this is a further piece of, and which of its rows the first one is.
    pub piece_of: Option<(PredictionId, u32)>,
    /// How the request came to this model; `None` where it was asked without a deployment.
    pub routed: Option<Routed>,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            deadline: None,
            waited: Duration::ZERO,
            priority: 0,
            watch: true,
            caller: None,
            piece_of: None,
            routed: None,
        }
    }
}
