//! What a run found.

use serde::Serialize;

use crate::Histogram;

/// Requests without a right answer, by cause. Counted in the warm-up too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// The status was neither 200 nor one of a refusal.
    pub status: u64,
    /// The status was 200, the body another than expected.
    pub mismatch: u64,
    /// The answer was no HTTP.
    pub malformed: u64,
    /// The connection ended before the answer.
    pub closed: u64,
    /// No answer in time, or, in an open loop, no free connection until the end.
    pub timeout: u64,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.status + self.mismatch + self.malformed + self.closed + self.timeout
    }
}

/// Latencies of the right answers that were counted, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten are below.
    pub p90: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// 999 of 1,000 are below.
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

impl Latency {
    /// The figures of a histogram of nanoseconds; zeros when it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        let at = |q| histogram.quantile(q).unwrap_or(0) as f64 / 1e3;
        let (min, max) = histogram.range().unwrap_or((0, 0));
        Self {
            mean: histogram.mean().unwrap_or(0.0) / 1e3,
            min: min as f64 / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: max as f64 / 1e3,
        }
    }
}

/// The result of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Right answers counted.
    pub requests: u64,
    /// The time in which they were counted.
    pub seconds: f64,
    /// Right answers a second.
    pub rate: f64,
    /// Of the right answers, those within the plan's `within_seconds`; all of them without it.
    pub within: u64,
    /// Requests that the server refused with status 503 or 429, in the time that counts: the answer
    /// of a server that has more to do than it can. Their latencies are not counted.
    pub refused: u64,
    /// Requests that were due while no connection was free, if the plan gives those up.
    pub dropped: u64,
    /// Requests without a right answer and not refused.
    pub errors: Errors,
    /// The first error, with the beginning of the answer.
    pub first_error: Option<String>,
    /// Latencies; in an open loop from the moment at which the request was due.
    pub latency_us: Latency,
}
