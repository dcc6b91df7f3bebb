//! A histogram of how long requests took, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// How long the requests of one kind took at one worker, which alone writes here.
#[derive(Debug, Default)]
pub struct Durations {
    /// The last is for what exceeds every bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Durations {
    /// One request took so long.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Writes the sum over the workers under a label such as `route="infer"`; nothing where no request
/// was.
pub fn write<'a>(
    out: &mut String,
    metric: &str,
    label: &str,
    workers: impl Iterator<Item = &'a Durations>,
) {
    let mut counts = [0; BOUNDS.len() + 1];
    let mut micros: u64 = 0;
    for worker in workers {
        for (count, bucket) in counts.iter_mut().zip(&worker.buckets) {
            *count += bucket.load(Ordering::Relaxed);
        }
        micros += worker.micros.load(Ordering::Relaxed);
    }
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    // Writing to a `String` cannot fail, so the outcomes are dropped.
    let mut below = 0;
    for (bound, count) in BOUNDS.iter().zip(counts) {
        below += count;
        let bound = *bound as f64 / 1e6;
        let _ = writeln!(out, "{metric}_bucket{{{label},le=\"{bound}\"}} {below}");
    }
    let seconds = micros as f64 / 1e6;
    let _ = writeln!(
        out,
        "{metric}_bucket{{{label},le=\"+Inf\"}} {total}\n\
         {metric}_sum{{{label}}} {seconds}\n\
         {metric}_count{{{label}}} {total}"
    );
}
