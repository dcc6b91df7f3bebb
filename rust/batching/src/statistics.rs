//! What a batcher has done, for `/metrics` and the statistics extension of the protocol.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::cost::{CostCurve, SIZES, size_class, size_limit};
use crate::refusal::Reason;

/// Buckets of the batch size histogram: up to 1, 2, 4, … 2^19 rows, and the last for all above.
pub const BUCKETS: usize = 21;

/// What is known of the batches of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeStatistics {
    /// The most rows of a batch of this size.
    pub rows: usize,
    /// How many were executed.
    pub batches: u64,
    /// Their time altogether.
    pub ns: u64,
    /// What such a batch is held to take now; nothing when none ran without failing.
    pub cost: Option<Duration>,
}

/// A snapshot. Its counters are read one by one: while batches run they may differ by the batch
/// that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Backends that run batches at the same time.
    pub instances: usize,
    /// Batches executed, the direct ones included.
    pub executions: u64,
    /// Of these, the ones that an embedded caller ran in its own thread.
    pub direct: u64,
    /// Rows in all of them.
    pub rows: u64,
    /// Batches by size: index `i` counts those of more than 2^(i-1) and at most 2^i rows.
    pub batch_rows: [u64; BUCKETS],
    /// Batches by size more finely, with their times: the sizes that have occurred.
    pub sizes: Vec<SizeStatistics>,
    /// Rows that wait now.
    pub queued_rows: usize,
    /// Bytes that wait now.
    pub queued_bytes: usize,
    /// Works not executed, by reason, in the order of [`Reason::ALL`].
    pub refusals: [u64; Reason::ALL.len()],
    /// Batches whose executor panicked: a bug of the executor's.
    pub panics: u64,
}

impl Statistics {
    /// Rows a batch; nothing before the first one.
    #[must_use]
    pub fn mean_batch(&self) -> Option<f64> {
        (self.executions > 0).then(|| self.rows as f64 / self.executions as f64)
    }

    /// Works that were not executed for this reason.
    #[must_use]
    pub fn refused(&self, reason: Reason) -> u64 {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        let count = index.and_then(|index| self.refusals.get(index));
        count.copied().unwrap_or_default()
    }
}

/// The live counters of one instance. These are the standard library's atomics under loom too:
/// nothing is decided by them, and exploring their orders would only multiply the cases.
#[derive(Debug)]
pub(crate) struct Counters {
    executions: AtomicU64,
    direct: AtomicU64,
    rows: AtomicU64,
    sizes: [Size; SIZES],
    panics: AtomicU64,
}

#[derive(Debug, Default)]
struct Size {
    batches: AtomicU64,
    ns: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            executions: AtomicU64::new(0),
            direct: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            sizes: std::array::from_fn(|_| Size::default()),
            panics: AtomicU64::new(0),
        }
    }
}

/// Adds without a locked instruction: sound because only the holder of the slot writes.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Counters {
    /// A batch has run. Called by the holder of the slot.
    pub(crate) fn executed(&self, rows: usize, time: Duration, direct: bool, panicked: bool) {
        add(&self.executions, 1);
        add(&self.rows, rows as u64);
        add(&self.direct, u64::from(direct));
        add(&self.panics, u64::from(panicked));
        if let Some(size) = self.sizes.get(size_class(rows)) {
            add(&size.batches, 1);
            add(&size.ns, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Adds what one instance has done. Costs are those of the first instance that knows one.
    pub(crate) fn add_to(&self, total: &mut Statistics, curve: &CostCurve) {
        total.instances += 1;
        total.executions += self.executions.load(Relaxed);
        total.direct += self.direct.load(Relaxed);
        total.rows += self.rows.load(Relaxed);
        total.panics += self.panics.load(Relaxed);
        let mut costs = curve.points().peekable();
        for (class, size) in self.sizes.iter().enumerate() {
            let (batches, rows) = (size.batches.load(Relaxed), size_limit(class));
            let cost = costs.next_if(|(at, _)| *at == rows).map(|(_, cost)| cost);
            if batches == 0 && cost.is_none() {
                continue;
            }
            let bucket = rows.next_power_of_two().trailing_zeros() as usize;
            if let Some(bucket) = total.batch_rows.get_mut(bucket.min(BUCKETS - 1)) {
                *bucket += batches;
            }
            let ns = size.ns.load(Relaxed);
            match total.sizes.binary_search_by_key(&rows, |size| size.rows) {
                Ok(at) => {
                    if let Some(known) = total.sizes.get_mut(at) {
                        known.batches += batches;
                        known.ns += ns;
                        known.cost = known.cost.or(cost);
                    }
                }
                Err(at) => total.sizes.insert(
                    at,
                    SizeStatistics {
                        rows,
                        batches,
                        ns,
                        cost,
                    },
                ),
            }
        }
    }
}

/// Counts what is not executed.
#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
    /// A work was refused. Called by anybody.
    pub(crate) fn add(&self, reason: Reason) {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = index.and_then(|index| self.0.get(index)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> [u64; Reason::ALL.len()] {
        std::array::from_fn(|i| self.0.get(i).map_or(0, |counter| counter.load(Relaxed)))
    }
}
