//! A batcher whose backend does nothing: what is measured is what batching itself costs.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate_batching::{Batcher, Clock, Execute, Limits, Refused, Work};

/// A row that arrived then.
#[derive(Debug)]
pub struct Row {
    /// When.
    pub arrived: Instant,
}

impl Work for Row {
    fn rows(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        8
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn priority(&self) -> u32 {
        0
    }

    fn compatible(&self, _: &Self) -> bool {
        true
    }

    fn abandoned(&self) -> bool {
        false
    }

    fn refuse(_: Refused<Self>) {}
}

/// Runs nothing.
#[derive(Debug)]
pub struct Nothing;

impl Execute<Row> for Nothing {
    fn execute(&mut self, batch: Vec<Row>) {
        black_box(batch.len());
    }
}

/// A batcher that has learned that its backend is quick.
#[must_use]
pub fn batcher() -> Option<Arc<Batcher<Row, Nothing>>> {
    taught(Box::new(Instant::now))
}

/// The same by a clock that goes on by a microsecond at each look, so that every run decides alike:
/// for counting instructions, which a busy machine must not change.
#[must_use]
pub fn batcher_in_virtual_time(start: Instant) -> Option<Arc<Batcher<Row, Nothing>>> {
    let looks = AtomicU64::new(0);
    taught(Box::new(move || {
        start + Duration::from_micros(looks.fetch_add(1, Ordering::Relaxed))
    }))
}

fn taught(clock: Clock) -> Option<Arc<Batcher<Row, Nothing>>> {
    let batcher = Batcher::with_clock("bench", vec![Nothing], Limits::default(), clock).ok()?;
    // Teaches the cost, so that a flush runs here.
    batcher.try_direct(|_| ());
    Some(batcher)
}
