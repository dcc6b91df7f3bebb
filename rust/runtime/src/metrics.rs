//! What a model has done: counters that cost a few nanoseconds, and their Prometheus text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate_batching::Statistics as BatchStatistics;
use tidegate_schema::ErrorKind;

/// A part of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From columns to the model's matrix, in the caller's thread.
    Features,
    /// Waiting for the model to be free; only requests that were queued.
    Queue,
    /// One run of the model, whatever the number of requests in it.
    Model,
    /// From the call to the answer.
    Total,
}

impl Stage {
    /// Every stage, in the order of a request.
    pub const ALL: [Self; 4] = [Self::Features, Self::Queue, Self::Model, Self::Total];

    /// The label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Queue => "queue",
            Self::Model => "model",
            Self::Total => "total",
        }
    }
}

/// Edges of the latency histogram: 1 µs, doubled to 8.4 s, so that the bucket is found by
/// counting zeros.
const EDGES: usize = 24;

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; EDGES + 1],
    nanoseconds: AtomicU64,
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
    succeeded: AtomicU64,
    failed: [AtomicU64; ErrorKind::ALL.len()],
    failed_ns: AtomicU64,
    rows: AtomicU64,
    last_ms: AtomicU64,
    stages: [Histogram; Stage::ALL.len()],
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
            model: timing(Stage::Model),
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
    /// Batches: how many, of which sizes, what waits.
    pub batches: BatchStatistics,
}

/// What `/metrics` says of the drift of one watched column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    pub column: String,
    pub role: String,
    pub psi: f64,
    pub js: f64,
}

/// One deployment, as far as metrics go.
pub(crate) struct Measured<'a> {
    pub model: &'a str,
    pub version: &'a str,
    pub counters: &'a Counters,
    pub batches: BatchStatistics,
    pub dropped: u64,
    pub drift: Vec<Drift>,
}

/// A text as a label value.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Prometheus text (exposition format 0.0.4).
pub(crate) fn render(models: &[Measured<'_>]) -> String {
    let mut page = Page {
        text: String::new(),
        labels: models
            .iter()
            .map(|m| {
                format!(
                    "model=\"{}\",version=\"{}\"",
                    quoted(m.model),
                    quoted(m.version)
                )
            })
            .collect(),
    };
    page.requests(models);
    page.latencies(models);
    page.batches(models);
    page.watching(models);
    page.text
}

struct Page {
    text: String,
    labels: Vec<String>,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, at: usize, more: &str, value: impl std::fmt::Display) {
        let labels = self.labels.get(at).map_or("", String::as_str);
        let _ = writeln!(self.text, "{name}{{{labels}{more}}} {value}");
    }

    fn requests(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_requests_total";
        self.family(name, "counter", "Requests by outcome.");
        for (at, model) in models.iter().enumerate() {
            let ok = model.counters.succeeded.load(Relaxed);
            self.line(name, at, ",outcome=\"ok\"", ok);
            for (kind, counter) in ErrorKind::ALL.iter().zip(&model.counters.failed) {
                let count = counter.load(Relaxed);
                if count > 0 {
                    self.line(name, at, &format!(",outcome=\"{}\"", kind.name()), count);
                }
            }
        }
        let name = "tidegate_rows_total";
        self.family(name, "counter", "Rows answered.");
        for (at, model) in models.iter().enumerate() {
            self.line(name, at, "", model.counters.rows.load(Relaxed));
        }
    }

    fn latencies(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_stage_seconds";
        self.family(
            name,
            "histogram",
            "Time by stage: features, queue (only requests that waited), model (one run), total.",
        );
        for (at, model) in models.iter().enumerate() {
            for stage in Stage::ALL {
                let Some(histogram) = model.counters.stages.get(stage as usize) else {
                    continue;
                };
                let label = format!(",stage=\"{}\"", stage.name());
                let mut sum = 0;
                for (bucket, counter) in histogram.buckets.iter().enumerate() {
                    sum += counter.load(Relaxed);
                    let edge = if bucket == EDGES {
                        "+Inf".to_owned()
                    } else {
                        (f64::from(1_u32 << bucket) / 1e6).to_string()
                    };
                    let name = format!("{name}_bucket");
                    self.line(&name, at, &format!("{label},le=\"{edge}\""), sum);
                }
                let seconds = histogram.nanoseconds.load(Relaxed) as f64 / 1e9;
                self.line(&format!("{name}_sum"), at, &label, seconds);
                self.line(&format!("{name}_count"), at, &label, sum);
            }
        }
    }

    fn batches(&mut self, models: &[Measured<'_>]) {
        let name = "tidegate_batch_rows";
        self.family(name, "histogram", "Rows of a batch.");
        for (at, model) in models.iter().enumerate() {
            let mut sum = 0;
            let buckets = model.batches.batch_rows;
            for (bucket, count) in buckets.iter().enumerate() {
                sum += count;
                let edge = if bucket + 1 == buckets.len() {
                    "+Inf".to_owned()
                } else {
                    (1_u64 << bucket).to_string()
                };
                self.line(
                    &format!("{name}_bucket"),
                    at,
                    &format!(",le=\"{edge}\""),
                    sum,
                );
            }
            self.line(&format!("{name}_sum"), at, "", model.batches.rows);
            self.line(&format!("{name}_count"), at, "", sum);
        }
        let gauges: [(&str, &str, &str, fn(&Measured<'_>) -> u64); 4] = [
            (
                "tidegate_queue_rows",
                "gauge",
                "Rows that wait for the model.",
                |m| m.batches.queued_rows as u64,
            ),
            (
                "tidegate_queue_refused_total",
                "counter",
                "Requests refused because the queue was full or closed.",
                |m| m.batches.refused,
            ),
            (
                "tidegate_queue_abandoned_total",
                "counter",
                "Requests dropped unexecuted: cancelled, or too late.",
                |m| m.batches.abandoned,
            ),
            (
                "tidegate_observations_dropped_total",
                "counter",
                "Rows not watched because the observer was behind.",
                |m| m.dropped,
            ),
        ];
        for (name, kind, help, value) in gauges {
            self.family(name, kind, help);
            for (at, model) in models.iter().enumerate() {
                self.line(name, at, "", value(model));
            }
        }
    }

    fn watching(&mut self, models: &[Measured<'_>]) {
        let gauges: [(&str, &str, fn(&Drift) -> f64); 2] = [
            (
                "tidegate_drift_psi",
                "Population stability index of the newest window against the baseline.",
                |drift| drift.psi,
            ),
            (
                "tidegate_drift_js",
                "Jensen-Shannon distance of the newest window from the baseline.",
                |drift| drift.js,
            ),
        ];
        for (name, help, value) in gauges {
            self.family(name, "gauge", help);
            for (at, model) in models.iter().enumerate() {
                for drift in &model.drift {
                    let labels = format!(
                        ",column=\"{}\",role=\"{}\"",
                        quoted(&drift.column),
                        quoted(&drift.role)
                    );
                    self.line(name, at, &labels, value(drift));
                }
            }
        }
    }
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

    #[test]
    fn labels_are_escaped() {
        let counters = Counters::new();
        counters.succeeded(3, Duration::from_micros(5), 1.0);
        counters.failed(ErrorKind::InvalidInput, Duration::ZERO);
        let text = render(&[Measured {
            model: "a\"b",
            version: "1.0.0",
            counters: &counters,
            batches: BatchStatistics::default(),
            dropped: 2,
            drift: vec![Drift {
                column: "x".to_owned(),
                role: "feature".to_owned(),
                psi: 0.5,
                js: 0.25,
            }],
        }]);
        for line in [
            r#"tidegate_requests_total{model="a\"b",version="1.0.0",outcome="ok"} 1"#,
            r#"tidegate_requests_total{model="a\"b",version="1.0.0",outcome="invalid_input"} 1"#,
            r#"tidegate_rows_total{model="a\"b",version="1.0.0"} 3"#,
            r#"tidegate_observations_dropped_total{model="a\"b",version="1.0.0"} 2"#,
            r#"tidegate_drift_psi{model="a\"b",version="1.0.0",column="x",role="feature"} 0.5"#,
            r#"tidegate_stage_seconds_bucket{model="a\"b",version="1.0.0",stage="total",le="0.000008"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
