//! What a batcher has done, for `/metrics` and the statistics extension of the protocol.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::cost::bucket;

/// Buckets of the batch size histogram: up to 1, 2, 4, … 2^19 rows, and the last for all above.
pub const BUCKETS: usize = 21;

/// A snapshot. Its counters are read one by one: while batches run they may differ by the batch
/// that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Batches executed, the direct ones included.
    pub executions: u64,
    /// Of these, the ones that an embedded caller ran in its own thread.
    pub direct: u64,
    /// Rows in all of them.
    pub rows: u64,
    /// Batches by size: index `i` counts those of more than 2^(i-1) and at most 2^i rows.
    pub batch_rows: [u64; BUCKETS],
    /// Rows that wait now.
    pub queued_rows: usize,
    /// Works not accepted, for whatever reason.
    pub refused: u64,
    /// Works dropped unexecuted, because nobody waited for them.
    pub abandoned: u64,
    /// Batches whose executor panicked: a bug of the executor's.
    pub panics: u64,
}

impl Statistics {
    /// Rows a batch; nothing before the first one.
    #[must_use]
    pub fn mean_batch(&self) -> Option<f64> {
        (self.executions > 0).then(|| self.rows as f64 / self.executions as f64)
    }
}

/// The live counters. These are the standard library's atomics under loom too: nothing is
/// decided by them, and exploring their orders would only multiply the cases.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    executions: AtomicU64,
    direct: AtomicU64,
    rows: AtomicU64,
    batch_rows: [AtomicU64; BUCKETS],
    refused: AtomicU64,
    abandoned: AtomicU64,
    panics: AtomicU64,
}

/// Adds without a locked instruction: sound because only the holder of the slot writes.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Counters {
    /// A batch has run. Called by the holder of the slot.
    pub(crate) fn executed(&self, rows: usize, direct: bool, panicked: bool) {
        add(&self.executions, 1);
        add(&self.rows, rows as u64);
        add(&self.direct, u64::from(direct));
        add(&self.panics, u64::from(panicked));
        if let Some(counter) = self.batch_rows.get(bucket(rows, BUCKETS)) {
            add(counter, 1);
        }
    }

    /// Works were dropped. Called by the holder of the slot.
    pub(crate) fn abandoned(&self, works: usize) {
        add(&self.abandoned, works as u64);
    }

    /// A work was refused. Called by anybody.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self, queued_rows: usize) -> Statistics {
        Statistics {
            executions: self.executions.load(Relaxed),
            direct: self.direct.load(Relaxed),
            rows: self.rows.load(Relaxed),
            batch_rows: std::array::from_fn(|i| {
                self.batch_rows
                    .get(i)
                    .map_or(0, |counter| counter.load(Relaxed))
            }),
            queued_rows,
            refused: self.refused.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
            panics: self.panics.load(Relaxed),
        }
    }
}
