//! What a model has done: counters that cost a few nanoseconds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate_batching::Statistics as BatchStatistics;
use tidegate_schema::ErrorKind;

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From a request's head to all of its body, let in: only requests over the network.
    Admit,
    /// From a body's bytes to columns or tensors: only requests over the network.
    Decode,
    /// From columns to the model's matrix, in the caller's thread.
    Features,
    /// Waiting for the model to be free; only requests that were queued.
    Queue,
    /// One run of the model, whatever the number of requests in it.
    Backend,
    /// From outputs to the answer's bytes: only requests over the network.
    Encode,
    /// From the call to the answer.
    Total,
}

impl Stage {
    /// Every stage, in the order of a request.
    pub const ALL: [Self; 7] = [
        Self::Admit,
        Self::Decode,
        Self::Features,
        Self::Queue,
        Self::Backend,
        Self::Encode,
        Self::Total,
    ];

    /// The label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Decode => "decode",
            Self::Features => "features",
            Self::Queue => "queue",
            Self::Backend => "backend",
            Self::Encode => "encode",
            Self::Total => "total",
        }
    }
}

/// Edges of the latency histogram: 1 µs, doubled to 8.4 s, so that the bucket is found by
/// counting zeros.
pub(crate) const EDGES: usize = 24;

#[derive(Debug, Default)]
pub(crate) struct Histogram {
    pub buckets: [AtomicU64; EDGES + 1],
    pub nanoseconds: AtomicU64,
}

impl Histogram {
    fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // A duration of exactly an edge belongs below it.
        let above = nanoseconds.saturating_sub(1) / 1_000;
        let bucket = (64 - above.leading_zeros() as usize).min(EDGES);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// Live counters of one model. Relaxed: they order nothing.
#[derive(Debug)]
pub(crate) struct Counters {
    pub succeeded: AtomicU64,
    pub failed: [AtomicU64; ErrorKind::ALL.len()],
    failed_ns: AtomicU64,
    pub rows: AtomicU64,
    last_ms: AtomicU64,
    pub stages: [Histogram; Stage::ALL.len()],
}

impl Counters {
    pub fn new() -> Self {
        Self {
            succeeded: AtomicU64::new(0),
            failed: Default::default(),
            failed_ns: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            stages: Default::default(),
        }
    }

    pub fn stage(&self, stage: Stage, time: Duration) {
        if let Some(histogram) = self.stages.get(stage as usize) {
            histogram.add(time);
        }
    }

    pub fn succeeded(&self, rows: usize, time: Duration, now: f64) {
        self.succeeded.fetch_add(1, Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        self.last_ms.store((now * 1e3) as u64, Relaxed);
        self.stage(Stage::Total, time);
    }

    pub fn failed(&self, kind: ErrorKind, time: Duration) {
        if let Some(counter) = self.failed.get(position(kind)) {
            counter.fetch_add(1, Relaxed);
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.failed_ns.fetch_add(nanoseconds, Relaxed);
    }

    pub fn snapshot(&self, batches: BatchStatistics) -> Statistics {
        let timing = |stage: Stage| {
            self.stages
                .get(stage as usize)
                .map_or_else(Timing::default, |histogram| Timing {
                    count: histogram.count(),
                    ns: histogram.nanoseconds.load(Relaxed),
                })
        };
        Statistics {
            rows: self.rows.load(Relaxed),
            last_ms: self.last_ms.load(Relaxed),
            success: timing(Stage::Total),
            fail: Timing {
                count: self
                    .failed
                    .iter()
                    .map(|counter| counter.load(Relaxed))
                    .sum(),
                ns: self.failed_ns.load(Relaxed),
            },
            features: timing(Stage::Features),
            queue: timing(Stage::Queue),
            model: timing(Stage::Backend),
            encode: timing(Stage::Encode),
            batches,
        }
    }
}

fn position(kind: ErrorKind) -> usize {
    ErrorKind::ALL
        .iter()
        .position(|known| *known == kind)
        .unwrap_or_default()
}

/// A snapshot of what a model has done since it was loaded. Golden rows are in none of it.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Rows answered.
    pub rows: u64,
    /// When the last answer was given, milliseconds since 1970; 0 before the first.
    pub last_ms: u64,
    /// Requests answered, with their whole time.
    pub success: Timing,
    /// Requests refused or failed.
    pub fail: Timing,
    /// Computing features.
    pub features: Timing,
    /// Waiting; only requests that had to.
    pub queue: Timing,
    /// Runs of the model.
    pub model: Timing,
    /// Writing answers for the network.
    pub encode: Timing,
    /// Batches: how many, of which sizes, what waits.
    pub batches: BatchStatistics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_of_their_edge() {
        for (nanoseconds, bucket) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_000, 1),
            (2_001, 2),
            (9_000_000_000, EDGES),
        ] {
            let histogram = Histogram::default();
            histogram.add(Duration::from_nanos(nanoseconds));
            assert_eq!(histogram.buckets[bucket].load(Relaxed), 1, "{nanoseconds}");
        }
    }
}
