//! `GET /v2/models[/{model}[/versions/{version}]]/stats`: Triton's statistics extension.

use std::collections::BTreeMap;

use serde::Serialize;

/// The body: statistics of some models.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Statistics<'a> {
    /// One entry for each model version.
    pub model_stats: Vec<ModelStatistics<'a>>,
}

/// Statistics of one model version since it was loaded.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelStatistics<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The version.
    pub version: &'a str,
    /// Milliseconds since 1970 at the last request; 0 before the first.
    pub last_inference: u64,
    /// Rows answered.
    pub inference_count: u64,
    /// Batches run; rows over batches is the mean batch that load tools print.
    pub execution_count: u64,
    /// Counts and times of the stages.
    pub inference_stats: InferenceStatistics,
    /// By size of batch: each entry counts the batches of more rows than the entry before it has,
    /// and at most its own `batch_size`.
    pub batch_stats: Vec<BatchStatistics>,
    /// Beyond Triton's: why batches do or do not form.
    pub batching: Batching,
}

/// The queue of a model, and what its policy knows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Batching {
    /// Batches that can run at the same time.
    pub instances: usize,
    /// Rows that wait now.
    pub queued_rows: usize,
    /// Bytes that wait now.
    pub queued_bytes: usize,
    /// Requests that were not executed, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// What a batch of a size is held to take now.
    pub cost_curve: Vec<Cost>,
}

/// A point of the cost curve.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// Rows of a batch, at most.
    pub batch_size: u64,
    /// Its time.
    pub ns: u64,
}

/// How often, and for how long altogether.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Duration {
    /// How often.
    pub count: u64,
    /// Nanoseconds altogether.
    pub ns: u64,
}

/// Counts and times of the stages of requests.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct InferenceStatistics {
    pub success: Duration,
    pub fail: Duration,
    pub queue: Duration,
    pub compute_input: Duration,
    pub compute_infer: Duration,
    pub compute_output: Duration,
    pub cache_hit: Duration,
    pub cache_miss: Duration,
}

/// Counts and times of the batches of one size.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct BatchStatistics {
    pub batch_size: u64,
    pub compute_input: Duration,
    pub compute_infer: Duration,
    pub compute_output: Duration,
}
