//! The batcher: a queue, slots in which the backends sit, and as many executor threads.
//!
//! Whoever takes a slot runs batches; whoever leaves it looks at the queue again. That second
//! look is what excludes lost wake-ups: a thread that has queued work and finds all slots taken
//! may go away, because each holder's look comes after its slot is free, and hence sees that work
//! or meets a thread that took the slot in between, which will look in its turn. The loom test
//! (`tests/loom.rs`) explores the orders.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cost::CostCurve;
use crate::limits::{Limits, MAX_INSTANCES};
use crate::policy::{self, Place};
use crate::queue::{Queue, Taken, Terms};
use crate::refusal::{Reason, Refusal, Refused};
use crate::statistics::{Counters, Refusals, Statistics};
use crate::sync::{self, Condvar, Inside, Mutex, MutexGuard, thread};
use crate::{Execute, Work};

/// What time it is.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// One large work in so many is cut into the largest pieces, whatever is known to be best.
const EXPLORE_PIECES: u32 = 32;

/// What waits, and what the executor threads sleep on.
struct Waiting<W> {
    queue: Queue<W>,
    /// Set by whoever wants an executor thread to look at the queue.
    called: bool,
    closed: bool,
}

/// A place for one backend; whoever has it runs batches there.
struct Slot<E> {
    executor: Mutex<E>,
    counters: Counters,
}

struct Shared<W, E> {
    waiting: Mutex<Waiting<W>>,
    call: Condvar,
    slots: Vec<Slot<E>>,
    refusals: Refusals,
    limits: Limits,
    pieces: AtomicU32,
    clock: Clock,
}

/// Gathers works into batches for executors of one kind. See the [module](self) for who runs what.
pub struct Batcher<W: Work, E: Execute<W>> {
    shared: Arc<Shared<W, E>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// A batch that has run: its slot, its begin and end, and its rows unless it failed.
struct Done {
    slot: usize,
    begin: Instant,
    end: Instant,
    rows: Option<usize>,
}

/// A slot that this thread holds.
struct Held<'a, E> {
    index: usize,
    executor: MutexGuard<'a, E>,
    counters: &'a Counters,
}

impl<W: Work, E: Execute<W>> Batcher<W, E> {
    /// Starts a thread for each of the executors, which all do the same, named `name`.
    ///
    /// # Errors
    /// When a limit is not valid, there is no executor or more than [`MAX_INSTANCES`], or the
    /// system gives no thread.
    pub fn new(name: &str, executors: Vec<E>, limits: Limits) -> io::Result<Arc<Self>> {
        Self::with_clock(name, executors, limits, Box::new(Instant::now))
    }

    /// As [`Batcher::new`], with the time that costs are learned in and deadlines held against.
    ///
    /// # Errors
    /// As [`Batcher::new`].
    pub fn with_clock(
        name: &str,
        executors: Vec<E>,
        limits: Limits,
        clock: Clock,
    ) -> io::Result<Arc<Self>> {
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        limits.check().map_err(invalid)?;
        let instances = executors.len();
        if instances == 0 || instances > MAX_INSTANCES {
            return Err(invalid(format!(
                "instances is {instances}: give 1 to {MAX_INSTANCES}"
            )));
        }
        let slot = |executor| Slot {
            executor: Mutex::new(executor),
            counters: Counters::default(),
        };
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting {
                queue: Queue::new(limits, instances),
                called: false,
                closed: false,
            }),
            call: Condvar::new(),
            slots: executors.into_iter().map(slot).collect(),
            refusals: Refusals::default(),
            limits,
            pieces: AtomicU32::new(0),
            clock,
        });
        // Made first: where the system gives no thread for one, its drop ends the others.
        let batcher = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::new(Vec::with_capacity(instances)),
        };
        for index in 0..instances {
            let served = Arc::clone(&shared);
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || served.serve(index))?;
            sync::lock(&batcher.threads).push(thread);
        }
        Ok(Arc::new(batcher))
    }

    /// Would a work with these terms be refused now? For the door, before anything is computed for
    /// it. A refusal is counted.
    ///
    /// # Errors
    /// The refusal.
    pub fn ask(&self, terms: &Terms) -> Result<(), Refusal> {
        let shared = &*self.shared;
        let mut waiting = sync::lock(&shared.waiting);
        let mut in_vain = Vec::new();
        let asked = match waiting.queue.ask(terms) {
            Err(refusal) if refusal.is_full() => {
                in_vain = waiting.queue.sweep((shared.clock)());
                waiting.queue.ask(terms)
            }
            asked => asked,
        };
        drop(waiting);
        shared.refuse(in_vain);
        if let Err(refusal) = &asked {
            shared.refusals.add(refusal.reason);
        }
        asked
    }

    /// Whoever stands before the door refuses a work for this reason: counts it, and says when it
    /// might be let in.
    pub fn turn_away(&self, reason: Reason) -> Refusal {
        let shared = &*self.shared;
        shared.refusals.add(reason);
        let now = (shared.clock)();
        let waiting = sync::lock(&shared.waiting);
        let retry_after = match reason {
            Reason::TooLarge => None,
            _ => waiting.queue.drained(now),
        };
        Refusal {
            reason,
            retry_after,
        }
    }

    /// Puts a work into the queue and does nothing else: call [`Batcher::flush`] when all that
    /// has arrived is queued.
    ///
    /// # Errors
    /// Gives the work back when the queue has no room for it, it cannot be answered in time, or
    /// the batcher is closed.
    pub fn enqueue(&self, work: W) -> Result<(), Refused<W>> {
        let shared = &*self.shared;
        let mut waiting = sync::lock(&shared.waiting);
        let mut in_vain = Vec::new();
        let pushed = match waiting.push(work) {
            Err(refused) if refused.refusal.is_full() => {
                // What nobody waits for must not keep others out.
                in_vain = waiting.queue.sweep((shared.clock)());
                if in_vain.is_empty() {
                    Err(refused)
                } else {
                    waiting.push(refused.work)
                }
            }
            pushed => pushed,
        };
        drop(waiting);
        shared.refuse(in_vain);
        if let Err(refused) = &pushed {
            shared.refusals.add(refused.refusal.reason);
        }
        pushed
    }

    /// The end of an event loop's turn: what has arrived in it is queued, now it may run.
    ///
    /// If a slot is free and the next batch is known to be cheap, it runs here, which saves two
    /// hand-offs between threads; else an executor thread is called. Returns without waiting
    /// when all slots are taken: their holders see to the queue.
    ///
    /// A work with a deadline of its own is never run here, but by an executor thread: whoever
    /// calls this must be able to answer at the deadline also if the backend hangs.
    ///
    /// Gives the time at which [`Batcher::expire`] has to be called, if any work is left that
    /// might have to be refused then.
    pub fn flush(&self) -> Option<Instant> {
        let shared = &*self.shared;
        if sync::lock(&shared.waiting).queue.is_empty() {
            return None;
        }
        let Some(mut held) = shared.free_slot(0) else {
            return shared.shed();
        };
        let mut spent = Duration::ZERO;
        let mut done = None;
        loop {
            let now = (shared.clock)();
            let taken = {
                let mut waiting = sync::lock(&shared.waiting);
                waiting.note(done.take());
                let cost = waiting.queue.next_cost(held.index, now);
                let cost = cost.filter(|_| !waiting.queue.has_own_deadlines());
                match policy::place(spent, cost) {
                    Place::Here => waiting.queue.take(held.index, now),
                    Place::Executor => None,
                }
            };
            let Some(taken) = taken else { break };
            done = shared.execute(&mut held, now, taken);
            if let Some(done) = &done {
                spent += done.end.saturating_duration_since(done.begin);
            }
        }
        drop(held);
        shared.look_again(None)
    }

    /// Refuses what waits in vain, wherever it stands, while no instance takes from the queue: one
    /// may be slow, or hang. Gives the time at which to call this again, if anything is left that
    /// might have to be refused then.
    pub fn expire(&self) -> Option<Instant> {
        let shared = &*self.shared;
        let (refused, due) = {
            let mut waiting = sync::lock(&shared.waiting);
            let refused = waiting.queue.expire((shared.clock)());
            (refused, waiting.queue.due())
        };
        shared.refuse(refused);
        due
    }

    /// Runs `run` on an executor in this thread, if a slot is free and nothing waits; else
    /// nothing, and the caller enqueues. Counts as a batch of one row: see
    /// [`Batcher::try_direct_rows`].
    pub fn try_direct<R>(&self, run: impl FnOnce(&mut E) -> R) -> Option<R> {
        self.try_direct_rows(1, run)
    }

    /// As [`Batcher::try_direct`] for a batch of `rows` rows.
    ///
    /// A panic of `run` goes on in the caller, after the slot is free again.
    pub fn try_direct_rows<R>(&self, rows: usize, run: impl FnOnce(&mut E) -> R) -> Option<R> {
        let shared = &*self.shared;
        let mut held = shared.free_slot(0)?;
        let begin = (shared.clock)();
        let open = {
            let mut waiting = sync::lock(&shared.waiting);
            let open = !waiting.closed && waiting.queue.is_empty();
            if open {
                waiting.queue.begin(held.index, begin, rows);
            }
            open
        };
        // Whoever waits came first; and has perhaps just found the slot taken by this call.
        if !open {
            drop(held);
            shared.look_again(None);
            return None;
        }
        let (outcome, done) = shared.timed(&mut held, begin, rows, true, run);
        drop(held);
        shared.look_again(Some(done));
        match outcome {
            Ok(answer) => Some(answer),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The rows into which a work that exceeds a batch is best cut: as many as are known to be best
    /// for throughput.
    #[must_use]
    pub fn piece_rows(&self) -> usize {
        let shared = &*self.shared;
        // A piece that is never tried is never known to be better.
        let turn = shared.pieces.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(EXPLORE_PIECES) {
            return shared.limits.max_batch_rows;
        }
        sync::lock(&shared.waiting).queue.piece_rows()
    }

    /// What has been done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let shared = &*self.shared;
        let waiting = sync::lock(&shared.waiting);
        let (queued_rows, queued_bytes) = (waiting.queue.rows(), waiting.queue.bytes());
        let curves: Vec<CostCurve> = waiting.queue.curves();
        drop(waiting);
        let mut statistics = Statistics {
            queued_rows,
            queued_bytes,
            refusals: shared.refusals.snapshot(),
            ..Statistics::default()
        };
        for (slot, curve) in shared.slots.iter().zip(&curves) {
            slot.counters.add_to(&mut statistics, curve);
        }
        statistics
    }

    /// Refuses new work, executes what waits, and returns when the last batch is done. May be
    /// called again.
    ///
    /// From inside an executor (the answer to a request drops the last handle of a model) it does
    /// not wait, since it would wait for itself: the rest is executed after it returns.
    pub fn close(&self) {
        self.shared.refuse_new();
        if Inside::any() {
            return;
        }
        // Held while joining, so that a second closer waits for the same end.
        let mut threads = sync::lock(&self.threads);
        for thread in threads.drain(..) {
            // The thread catches the executor's panics, so there is no other outcome to report.
            let _ = thread.join();
        }
    }
}

impl<W: Work, E: Execute<W>> Drop for Batcher<W, E> {
    /// Refuses new work and lets the executor threads finish what waits, without waiting for them.
    fn drop(&mut self) {
        self.shared.refuse_new();
    }
}

impl<W: Work> Waiting<W> {
    fn push(&mut self, work: W) -> Result<(), Refused<W>> {
        if self.closed {
            return Err(Refused {
                work,
                refusal: Reason::Closed.into(),
            });
        }
        self.queue.push(work)
    }

    /// Learns from a batch.
    fn note(&mut self, done: Option<Done>) {
        if let Some(done) = done {
            self.queue.done(done.slot, done.begin, done.end, done.rows);
        }
    }
}

impl<W: Work, E: Execute<W>> Shared<W, E> {
    /// A slot that nobody holds, the `first` one if possible.
    fn free_slot(&self, first: usize) -> Option<Held<'_, E>> {
        let count = self.slots.len();
        (first..first + count).find_map(|index| {
            let index = index % count;
            let slot = self.slots.get(index)?;
            let executor = sync::try_lock(&slot.executor)?;
            Some(Held {
                index,
                executor,
                counters: &slot.counters,
            })
        })
    }

    /// An executor thread. It takes whichever slot is free.
    fn serve(&self, own: usize) {
        loop {
            let closed = {
                let mut waiting = sync::lock(&self.waiting);
                while !waiting.called && !waiting.closed {
                    waiting = sync::wait(&self.call, waiting);
                }
                waiting.called = false;
                waiting.closed
            };
            if closed {
                self.finish(own);
                return;
            }
            if let Some(held) = self.free_slot(own) {
                self.drain(held);
                self.look_again(None);
            }
        }
    }

    /// Executes what is left, and waits for batches of other threads.
    fn finish(&self, own: usize) {
        for index in (own..self.slots.len()).chain(0..own) {
            if let Some(slot) = self.slots.get(index) {
                // Nothing new can come, so a slot that is free once, and the queue empty, is the
                // end: no other thread is in the midst of a batch.
                self.drain(Held {
                    index,
                    executor: sync::lock(&slot.executor),
                    counters: &slot.counters,
                });
            }
        }
    }

    /// Runs batches in a slot until nothing waits.
    fn drain(&self, mut held: Held<'_, E>) {
        let mut done = None;
        loop {
            let now = (self.clock)();
            let taken = {
                let mut waiting = sync::lock(&self.waiting);
                waiting.note(done.take());
                let taken = waiting.queue.take(held.index, now);
                // There may be work for other instances too.
                if !waiting.queue.is_empty() && waiting.queue.has_idle() {
                    waiting.called = true;
                    self.call.notify_one();
                }
                taken
            };
            let Some(taken) = taken else { break };
            done = self.execute(&mut held, now, taken);
            // Where cores are few, whoever sends the answers may wait for this one, and would for
            // all of the next batch. So the time until it is free again is the batch's, too: whoever
            // comes behind it waits for that.
            sync::give_way();
            if let Some(done) = &mut done {
                done.end = (self.clock)();
            }
        }
    }

    /// To be called after leaving a slot: if anything came meanwhile, whoever brought it may
    /// have found the slot taken and gone away. Gives the time when what is left is due.
    fn look_again(&self, done: Option<Done>) -> Option<Instant> {
        let mut waiting = sync::lock(&self.waiting);
        waiting.note(done);
        let due = waiting.queue.due();
        if !waiting.queue.is_empty() {
            waiting.called = true;
            drop(waiting);
            self.call.notify_one();
        }
        due
    }

    fn refuse_new(&self) {
        sync::lock(&self.waiting).closed = true;
        self.call.notify_all();
    }

    /// Tells those whose work waits in vain, while the backends are busy. Gives the time when what
    /// is left is due.
    fn shed(&self) -> Option<Instant> {
        let (refused, due) = {
            let mut waiting = sync::lock(&self.waiting);
            if !waiting.queue.is_timed() {
                return None;
            }
            let refused = waiting.queue.shed((self.clock)());
            (refused, waiting.queue.due())
        };
        self.refuse(refused);
        due
    }

    /// Counts and tells; what is told is foreign code, and may panic like any other.
    fn refuse(&self, refused: Vec<Refused<W>>) {
        for refused in refused {
            self.refusals.add(refused.refusal.reason);
            let _ = catch_unwind(AssertUnwindSafe(|| W::refuse(refused)));
        }
    }

    /// Runs what was taken, and refuses what is not worth it.
    fn execute(&self, held: &mut Held<'_, E>, begin: Instant, taken: Taken<W>) -> Option<Done> {
        let Taken {
            batch,
            rows,
            refused,
        } = taken;
        self.refuse(refused);
        if batch.is_empty() {
            return None;
        }
        let run = |executor: &mut E| executor.execute(batch);
        Some(self.timed(held, begin, rows, false, run).1)
    }

    /// Runs on the executor and counts. A panic must not poison the slot nor end the executor
    /// thread.
    fn timed<R>(
        &self,
        held: &mut Held<'_, E>,
        begin: Instant,
        rows: usize,
        direct: bool,
        run: impl FnOnce(&mut E) -> R,
    ) -> (Result<R, Box<dyn Any + Send>>, Done) {
        let inside = Inside::enter();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut held.executor)));
        drop(inside);
        let end = (self.clock)();
        let time = end.saturating_duration_since(begin);
        held.counters.executed(rows, time, direct, outcome.is_err());
        let done = Done {
            slot: held.index,
            begin,
            end,
            rows: outcome.is_ok().then_some(rows),
        };
        (outcome, done)
    }
}
