//! The shadow of a deployment: it computes copies of requests that others have answered.
//!
//! Copies wait in a bounded queue of their own and run one by one, in a thread that gets what nobody else wants
//! ([`take_what_is_left`]), on an instance of the model that nothing else runs on. An ONNX session has no threads of its
//! own, so that all of a copy runs there. While the machine is busy that thread gets next to nothing, copies gather, and
//! what finds no room is not made, and counted. So a shadow that is slow, fails or hangs takes nothing from live requests but
//! the memory of its queue.
//!
//! The thread may be kept from going on wherever it is, also within a lock. Those that it takes are the queue's and that of
//! what it has counted: requests and the observer only *try* the first ([`Shade::copy`], [`Shade::push`]) and never take the
//! second; who changes the plan or reads samples may wait. What a copy takes of memory is freed there without a lock too, as
//! the allocator (mimalloc) gives memory of other threads back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tidegate_drift::quality::Task;
use tidegate_drift::tally::{Answered as Counted, Pairs, Scope, Segments, Shadowed, Tally};
use tidegate_predictionlog::log::Answered;
use tidegate_predictionlog::{Awaiting, Chunk, PredictionId};
use tidegate_schema::{Error, ErrorKind, Result, Table, TableBuf, Tensor};

use super::reading::Pair;
use super::revision::{Fault, fault, lock, requests, told};
use crate::Model;
use crate::background::take_what_is_left;
use crate::bundle::Kind;
use crate::output::OutputColumn;
use crate::routing::WHOLE;
use crate::split::owned;
use crate::work::{Block, Executor};

/// Most bytes of copies that wait for a shadow.
pub const SHADOW_BYTES: usize = 8 << 20;
/// Most bytes of what a shadow has said that await their labels, in memory only; the oldest leave first.
pub const SHADOW_LABEL_BYTES: usize = 32 << 20;
/// Most labels that wait to be joined; more are passed over.
const MOST_LABELS: usize = 16_384;
/// Bytes of a copy beside its values: a bound on many tiny ones.
const OVERHEAD: usize = 512;
/// How long the end of the runtime waits for a copy that runs. One that hangs is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a copy tries to be added: some microseconds.
const SPINS: u32 = 200;
/// How often the end of a shadow tries to tell its thread.
const ATTEMPTS: u32 = 10_000;

/// What a copy is computed from.
#[derive(Debug)]
pub(crate) enum CopiedInputs {
    /// Of a model that takes columns.
    Table(TableBuf),
    /// Of a model that takes tensors, in its order.
    Blocks(Vec<Block>),
}

/// A request that was answered, for the shadow.
#[derive(Debug)]
pub(crate) struct Copied {
    pub inputs: CopiedInputs,
    /// Of the answers.
    pub columns: Arc<[OutputColumn]>,
    pub answers: TableBuf,
    pub seen: Answered,
    /// The segment of each row.
    pub places: Option<(Arc<Segments>, Vec<usize>)>,
}

impl Copied {
    fn bytes(&self) -> usize {
        let inputs = match &self.inputs {
            CopiedInputs::Table(table) => table.bytes(),
            CopiedInputs::Blocks(blocks) => blocks.iter().map(|block| block.data.bytes()).sum(),
        };
        OVERHEAD + inputs + self.answers.bytes()
    }
}

/// What has come of copies since the version became a shadow: for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub compared: AtomicU64,
    pub failed: AtomicU64,
    pub dropped: AtomicU64,
    pub rows: AtomicU64,
    pub disagreements: AtomicU64,
    pub nanoseconds: AtomicU64,
}

/// A label of a prediction that may have been copied.
#[derive(Debug)]
pub(crate) struct Late {
    pub of: (PredictionId, Option<u32>),
    /// What the live version said.
    pub numbers: Vec<f64>,
    pub actual: f64,
    pub segment: Option<String>,
}

/// What the thread does next.
#[derive(Debug)]
enum Work {
    Copy(Copied),
    Labels(Vec<Late>),
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Copied, usize)>,
    labels: Vec<Late>,
    bytes: usize,
    stopped: bool,
    /// The thread has ended.
    ended: bool,
}

#[derive(Debug)]
struct Counts {
    live: Tally,
    shadow: Tally,
    pairs: Pairs,
}

/// What is shared with the thread.
#[derive(Debug)]
struct Inner {
    queue: Mutex<Queue>,
    call: Condvar,
    done: Condvar,
    /// The queue has no room: what would find none is not copied. Read without the queue's lock.
    full: AtomicBool,
    counts: Mutex<Counts>,
    scope: Arc<Scope>,
    totals: Arc<Totals>,
    model: Arc<Model>,
}

/// The shadow of one revision.
#[derive(Debug)]
pub(crate) struct Shade {
    share: u64,
    /// Requests that might have been copied.
    asked: AtomicU64,
    /// What live requests count themselves: those that failed.
    at_once: Mutex<(Tally, Pairs)>,
    inner: Arc<Inner>,
}

impl Shade {
    /// Starts the thread that computes copies on an instance of its own.
    ///
    /// # Errors
    /// `Unsupported` for a model that can be one instance only; `Backend` when the system gives no
    /// thread.
    pub fn new(
        model: &Arc<Model>,
        share: u32,
        scope: Arc<Scope>,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>> {
        let executor = model.another_executor()?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "version {:?} cannot be a shadow: its backend can be one instance only, which copies would keep busy",
                    model.version()
                ),
            )
        })?;
        let known = before.filter(|before| before.inner.model.version() == model.version());
        let tally = || Tally::new(Arc::clone(&scope));
        let inner = Arc::new(Inner {
            queue: Mutex::default(),
            call: Condvar::new(),
            done: Condvar::new(),
            full: AtomicBool::new(false),
            counts: Mutex::new(Counts {
                live: tally(),
                shadow: tally(),
                pairs: Pairs::new(model.kind() == Kind::Classifier),
            }),
            totals: known.map_or_else(Arc::default, |known| Arc::clone(&known.inner.totals)),
            model: Arc::clone(model),
            scope: Arc::clone(&scope),
        });
        let served = Arc::clone(&inner);
        std::thread::Builder::new()
            .name("tidegate-shadow".to_owned())
            .spawn(move || {
                take_what_is_left();
                served.serve(executor);
            })
            .map_err(|error| {
                Error::new(
                    ErrorKind::Backend,
                    format!("no thread for a shadow: {error}"),
                )
            })?;
        Ok(Arc::new(Self {
            share: u64::from(share),
            asked: AtomicU64::new(0),
            at_once: Mutex::new((tally(), Pairs::default())),
            inner,
        }))
    }

    /// The version that gets copies.
    pub fn version(&self) -> &str {
        self.inner.model.version()
    }

    /// What has come of copies.
    pub fn totals(&self) -> &Totals {
        &self.inner.totals
    }

    /// Is the next request to be copied, and is there room? Where there is none it counts as dropped: to copy
    /// what is dropped then would take time from live requests.
    pub fn takes(&self) -> bool {
        let selected = self.selects();
        let full = selected && self.inner.full.load(Relaxed);
        if full {
            self.drop_one();
        }
        selected && !full
    }

    /// Is the next request of the share? Evenly spread: of any 10,000 in a row exactly so many.
    fn selects(&self) -> bool {
        let whole = u64::from(WHOLE);
        let number = self.asked.fetch_add(1, Relaxed) % whole;
        (number + 1) * self.share / whole > number * self.share / whole
    }

    /// Copies of requests that were answered, in the observer's thread.
    pub fn copy(
        &self,
        inputs: &Table<'_>,
        columns: &[OutputColumn],
        answers: &TableBuf,
        seen: &[Answered],
        places: Option<&(Arc<Segments>, Vec<usize>)>,
    ) {
        let columns: Arc<[OutputColumn]> = columns.into();
        let mut start = 0;
        for seen in seen {
            let rows = seen.rows as usize;
            let first = start;
            start += rows;
            if !self.takes() {
                continue;
            }
            let copied = answers.view().and_then(|answers| {
                Ok(Copied {
                    inputs: CopiedInputs::Table(owned(&inputs.slice(first, rows))?),
                    columns: Arc::clone(&columns),
                    answers: owned(&answers.slice(first, rows))?,
                    seen: seen.clone(),
                    places: places.map(|(segments, places)| {
                        let own = places.get(first..first + rows).unwrap_or_default();
                        (Arc::clone(segments), own.to_vec())
                    }),
                })
            });
            match copied {
                Ok(copied) => self.push(copied),
                Err(_) => self.drop_one(),
            }
        }
    }

    /// Adds a copy; waits for nobody.
    pub fn push(&self, copied: Copied) {
        let bytes = copied.bytes();
        let Some(mut queue) = self.inner.try_queue() else {
            self.drop_one();
            return;
        };
        if queue.stopped {
            return;
        }
        let fits = queue.bytes + bytes <= SHADOW_BYTES;
        if fits {
            queue.bytes += bytes;
            queue.waiting.push_back((copied, bytes));
        }
        // What is larger than all room says nothing about the next.
        let full = !fits && !queue.waiting.is_empty();
        self.inner.full.store(full, Relaxed);
        // Its thread waits only where there was nothing.
        let first = queue.waiting.len() == 1;
        drop(queue);
        if !fits {
            self.drop_one();
        } else if first {
            self.inner.call.notify_one();
        }
    }

    /// The label of a prediction came. What the shadow said is known to its thread only, which joins them; waits
    /// for nobody.
    pub fn labelled(&self, late: Late) {
        let Some(mut queue) = self.inner.try_queue() else {
            return;
        };
        if queue.stopped || queue.labels.len() >= MOST_LABELS {
            return;
        }
        queue.labels.push(late);
        let first = queue.waiting.is_empty() && queue.labels.len() == 1;
        drop(queue);
        if first {
            self.inner.call.notify_one();
        }
    }

    fn drop_one(&self) {
        self.inner.totals.dropped.fetch_add(1, Relaxed);
        lock(&self.at_once).1.dropped += 1;
    }

    /// A live request failed by fault of its model, and would have been copied, or not.
    pub fn live_failed(&self, segment: Option<&str>) {
        if self.selects() {
            let mut counts = lock(&self.at_once);
            counts.0.failed(segment);
            counts.1.live_errors += 1;
        }
    }

    /// What has been counted until now.
    pub fn samples(&self) -> Result<Shadowed> {
        let (mut live, shadow, mut pairs) = {
            let counts = lock(&self.inner.counts);
            (
                counts.live.sample().clone(),
                counts.shadow.sample().clone(),
                counts.pairs.clone(),
            )
        };
        let at_once = lock(&self.at_once);
        live.merge(at_once.0.sample())?;
        pairs.merge(&at_once.1)?;
        Ok(Shadowed {
            version: self.version().to_owned(),
            live,
            shadow,
            pairs,
        })
    }

    /// Computes no more copies; those that wait are forgotten.
    pub fn stop(&self) {
        let mut queue = lock(&self.inner.queue);
        queue.stopped = true;
        queue.bytes = 0;
        let forgotten = (
            std::mem::take(&mut queue.waiting),
            std::mem::take(&mut queue.labels),
        );
        drop(queue);
        drop(forgotten);
        self.inner.call.notify_one();
    }

    /// Waits for the copy that runs, if it ends soon.
    pub fn wait(&self) {
        let queue = lock(&self.inner.queue);
        let running = |queue: &mut Queue| !queue.ended;
        let _ = self
            .inner
            .done
            .wait_timeout_while(queue, PATIENCE, running)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

impl Drop for Shade {
    fn drop(&mut self) {
        // In a child of a fork the thread is not there, and may have held the lock; here it gives it
        // back within nanoseconds.
        for _ in 0..ATTEMPTS {
            if let Ok(mut queue) = self.inner.queue.try_lock() {
                queue.stopped = true;
                self.inner.call.notify_one();
                return;
            }
            std::thread::yield_now();
        }
    }
}

impl Inner {
    /// The queue, unless its thread holds it for longer than it takes to add or remove something: then the
    /// system has stopped it there.
    fn try_queue(&self) -> Option<MutexGuard<'_, Queue>> {
        (0..SPINS).find_map(|_| match self.queue.try_lock() {
            Ok(queue) => Some(queue),
            Err(TryLockError::Poisoned(queue)) => Some(queue.into_inner()),
            Err(TryLockError::WouldBlock) => {
                std::hint::spin_loop();
                None
            }
        })
    }

    fn serve(&self, mut executor: Executor) {
        let mut awaiting = Awaiting::new(SHADOW_LABEL_BYTES);
        while let Some(work) = self.next() {
            // A bug here must not end the shadow for good.
            let caught = catch_unwind(AssertUnwindSafe(|| match &work {
                Work::Copy(copied) => self.compute(copied, &mut executor, &mut awaiting),
                Work::Labels(labels) => self.join(labels, &mut awaiting),
            }));
            if caught.is_err() && matches!(work, Work::Copy(_)) {
                self.totals.failed.fetch_add(1, Relaxed);
                lock(&self.counts).pairs.shadow_errors += 1;
            }
        }
        lock(&self.queue).ended = true;
        self.done.notify_all();
    }

    /// The next copy, before the labels that may be of it; unless too many of these wait.
    fn next(&self) -> Option<Work> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.stopped {
                return None;
            }
            let labels = queue.labels.len();
            if labels > MOST_LABELS / 2 || labels > 0 && queue.waiting.is_empty() {
                return Some(Work::Labels(std::mem::take(&mut queue.labels)));
            }
            if let Some((copied, bytes)) = queue.waiting.pop_front() {
                queue.bytes -= bytes.min(queue.bytes);
                self.full.store(false, Relaxed);
                return Some(Work::Copy(copied));
            }
            queue = self
                .call
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts labels for both sides of the rows that the shadow has answered.
    fn join(&self, labels: &[Late], awaiting: &mut Awaiting) {
        let mut counts = lock(&self.counts);
        for late in labels {
            let (id, row) = late.of;
            let place = awaiting.find(id, row);
            if let Some(said) = place.and_then(|place| awaiting.get(place)) {
                let segment = late.segment.as_deref();
                counts.live.labelled(&late.numbers, late.actual, segment);
                counts.shadow.labelled(said.values, late.actual, segment);
            }
        }
    }

    /// Keeps what the shadow has said until the label comes.
    fn keep(
        &self,
        copied: &Copied,
        columns: &[OutputColumn],
        answers: &TableBuf,
        awaiting: &mut Awaiting,
    ) {
        let width = self.scope.task().map(Task::width);
        let values = self.model.numbers(columns, answers);
        if let (Some(width), Some(values)) = (width, values) {
            let chunk = Chunk {
                slot: 0,
                width: u32::try_from(width).unwrap_or(u32::MAX),
                origin: 0,
                marks: vec![copied.seen.mark()],
                values,
            };
            if chunk.is_whole() {
                awaiting.push(chunk);
            }
        }
    }

    fn compute(&self, copied: &Copied, executor: &mut Executor, awaiting: &mut Awaiting) {
        let begin = Instant::now();
        let outcome = self.run(&copied.inputs, executor);
        let latency = begin.elapsed();
        let columns = outcome.and_then(|outputs| self.model.read(&outputs));
        if let Ok((columns, answers)) = &columns {
            self.keep(copied, columns, answers, awaiting);
        }
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.totals.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.count(copied, latency, columns);
    }

    fn run(&self, inputs: &CopiedInputs, executor: &mut Executor) -> Result<Vec<Tensor>> {
        match inputs {
            CopiedInputs::Table(table) => self.model.run_copy(table, executor),
            CopiedInputs::Blocks(blocks) => {
                let slabs: Vec<_> = blocks.iter().map(Block::slab).collect();
                executor.run_one(&slabs)
            }
        }
    }

    fn count(
        &self,
        copied: &Copied,
        latency: Duration,
        outcome: Result<(Arc<[OutputColumn]>, TableBuf)>,
    ) {
        let places = copied.places.as_ref();
        let segments = places.map(|(segments, places)| (&**segments, places.as_slice()));
        let seen = std::slice::from_ref(&copied.seen);
        let mut counts = lock(&self.counts);
        let prediction = told(&self.scope, &copied.columns, &copied.answers);
        // Without features there is nothing that might not fit.
        let _ = counts.live.answered(&Counted {
            requests: &requests(seen),
            features: None,
            prediction: prediction.as_ref(),
            segments,
        });
        let (columns, answers) = match outcome {
            Ok(found) if found.1.rows() == copied.answers.rows() => found,
            other => {
                let kind = other.map_or_else(|error| error.kind, |_| ErrorKind::Backend);
                let first =
                    segments.and_then(|(segments, places)| Some(segments.named(*places.first()?)));
                match fault(kind) {
                    Fault::Model => counts.shadow.failed(first),
                    Fault::Request | Fault::None => counts.shadow.refused(first),
                }
                counts.pairs.shadow_errors += 1;
                self.totals.failed.fetch_add(1, Relaxed);
                return;
            }
        };
        let prediction = told(&self.scope, &columns, &answers);
        let whole = copied.seen.first_row == 0;
        let _ = counts.shadow.answered(&Counted {
            requests: &[(answers.rows(), whole.then_some(latency.as_secs_f64()))],
            features: None,
            prediction: prediction.as_ref(),
            segments,
        });
        let tolerance = self.scope.asked().tolerance;
        let pair = Pair::new(
            (&copied.columns, &copied.answers),
            (&columns, &answers),
            tolerance,
        );
        let before = counts.pairs.disagree.yes();
        for row in 0..answers.rows() {
            pair.row(row, |row| counts.pairs.update(row));
        }
        let more = counts.pairs.disagree.yes() - before;
        drop(counts);
        self.totals.compared.fetch_add(1, Relaxed);
        self.totals.rows.fetch_add(answers.rows() as u64, Relaxed);
        self.totals.disagreements.fetch_add(more, Relaxed);
    }
}

#[cfg(test)]
mod tests;
