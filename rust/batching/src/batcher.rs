//! The batcher: a queue, a slot in which the backend sits, and one executor thread.
//!
//! Whoever takes the slot runs batches; whoever leaves it looks at the queue again. That second
//! look is what excludes lost wake-ups: a thread that has queued work and finds the slot taken
//! may go away, because the holder's look comes after the slot is free, and hence sees that work
//! or meets a thread that took the slot in between, which will look in its turn. The loom test
//! (`tests/loom.rs`) explores the orders.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cost::CostCurve;
use crate::policy::{self, Place};
use crate::queue::{Limits, Queue, Reason, Refused, Taken};
use crate::statistics::{Counters, Statistics};
use crate::sync::{self, Condvar, Inside, Mutex, thread};
use crate::{Execute, Work};

/// Time since some fixed moment, never going back.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What waits, and what the executor thread sleeps on.
struct Waiting<W> {
    queue: Queue<W>,
    /// Set by whoever wants the executor thread to look at the queue.
    called: bool,
    closed: bool,
}

/// The backend, and what is known about its speed: both belong to the holder of the slot.
struct Seat<E> {
    executor: E,
    cost: CostCurve,
}

struct Shared<W, E> {
    waiting: Mutex<Waiting<W>>,
    call: Condvar,
    slot: Mutex<Seat<E>>,
    counters: Counters,
    clock: Clock,
}

/// Gathers works into batches for one executor. See the [module](self) for who runs what.
pub struct Batcher<W: Work, E: Execute<W>> {
    shared: Arc<Shared<W, E>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl<W: Work, E: Execute<W>> Batcher<W, E> {
    /// Starts the executor thread, named `name`.
    ///
    /// # Errors
    /// When a limit is zero, or the system gives no thread.
    pub fn new(name: &str, executor: E, limits: Limits) -> io::Result<Arc<Self>> {
        let origin = Instant::now();
        Self::with_clock(name, executor, limits, Box::new(move || origin.elapsed()))
    }

    /// As [`Batcher::new`], with the time that costs are learned in.
    ///
    /// # Errors
    /// As [`Batcher::new`].
    pub fn with_clock(
        name: &str,
        executor: E,
        limits: Limits,
        clock: Clock,
    ) -> io::Result<Arc<Self>> {
        for (limit, value) in [
            ("max_batch_rows", limits.max_batch_rows),
            ("max_queue_rows", limits.max_queue_rows),
        ] {
            if value == 0 {
                let message = format!("{limit} is 0: give at least 1");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting {
                queue: Queue::new(limits),
                called: false,
                closed: false,
            }),
            call: Condvar::new(),
            slot: Mutex::new(Seat {
                executor,
                cost: CostCurve::default(),
            }),
            counters: Counters::default(),
            clock,
        });
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || served.serve())?;
        Ok(Arc::new(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Puts a work into the queue and does nothing else: call [`Batcher::flush`] when all that
    /// has arrived is queued.
    ///
    /// # Errors
    /// Gives the work back when the queue is full, the work larger than the whole queue, or the
    /// batcher closed.
    pub fn enqueue(&self, work: W) -> Result<(), Refused<W>> {
        let mut waiting = sync::lock(&self.shared.waiting);
        let pushed = if waiting.closed {
            Err(Refused {
                work,
                reason: Reason::Closed,
            })
        } else {
            waiting.queue.push(work)
        };
        drop(waiting);
        if pushed.is_err() {
            self.shared.counters.refused();
        }
        pushed
    }

    /// The end of an event loop's turn: what has arrived in it is queued, now it may run.
    ///
    /// If the slot is free and the next batch is known to be cheap, it runs here, which saves two
    /// hand-offs between threads; else the executor thread is called. Returns without waiting
    /// when the slot is taken: its holder sees to the queue.
    pub fn flush(&self) {
        let shared = &*self.shared;
        if sync::lock(&shared.waiting).queue.is_empty() {
            return;
        }
        let Some(mut seat) = sync::try_lock(&shared.slot) else {
            return;
        };
        let mut spent = Duration::ZERO;
        loop {
            let taken = {
                let mut waiting = sync::lock(&shared.waiting);
                let estimate = seat.cost.estimate(waiting.queue.next_rows());
                match policy::place(spent, estimate) {
                    Place::Here => waiting.queue.take(),
                    Place::Executor => None,
                }
            };
            let Some(taken) = taken else { break };
            spent += shared.execute(&mut seat, taken);
        }
        drop(seat);
        shared.look_again();
    }

    /// Runs `run` on the executor in this thread, if the slot is free and nothing waits; else
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
        let mut seat = sync::try_lock(&shared.slot)?;
        let open = {
            let waiting = sync::lock(&shared.waiting);
            !waiting.closed && waiting.queue.is_empty()
        };
        // Whoever waits came first; and has perhaps just found the slot taken by this call.
        if !open {
            drop(seat);
            shared.look_again();
            return None;
        }
        let outcome = shared.timed(&mut seat, rows, true, run);
        drop(seat);
        shared.look_again();
        match outcome {
            Ok(answer) => Some(answer),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// What has been done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let queued = sync::lock(&self.shared.waiting).queue.rows();
        self.shared.counters.snapshot(queued)
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
        let mut thread = sync::lock(&self.thread);
        if let Some(thread) = thread.take() {
            // The thread catches the executor's panics, so there is no other outcome to report.
            let _ = thread.join();
        }
    }
}

impl<W: Work, E: Execute<W>> Drop for Batcher<W, E> {
    /// Refuses new work and lets the executor thread finish what waits, without waiting for it.
    fn drop(&mut self) {
        self.shared.refuse_new();
    }
}

impl<W: Work, E: Execute<W>> Shared<W, E> {
    /// The executor thread.
    fn serve(&self) {
        loop {
            {
                let mut waiting = sync::lock(&self.waiting);
                while !waiting.called && !waiting.closed {
                    waiting = sync::wait(&self.call, waiting);
                }
                waiting.called = false;
            }
            let mut seat = sync::lock(&self.slot);
            loop {
                let taken = sync::lock(&self.waiting).queue.take();
                let Some(taken) = taken else { break };
                self.execute(&mut seat, taken);
            }
            // Asked while the slot is held: then no other thread is in the midst of a batch.
            let finished = {
                let waiting = sync::lock(&self.waiting);
                waiting.closed && waiting.queue.is_empty()
            };
            drop(seat);
            if finished {
                return;
            }
            self.look_again();
        }
    }

    /// To be called after leaving the slot: if anything came meanwhile, whoever brought it may
    /// have found the slot taken and gone away.
    fn look_again(&self) {
        let mut waiting = sync::lock(&self.waiting);
        if !waiting.queue.is_empty() {
            waiting.called = true;
            drop(waiting);
            self.call.notify_one();
        }
    }

    fn refuse_new(&self) {
        sync::lock(&self.waiting).closed = true;
        self.call.notify_one();
    }

    /// Runs what was taken, and drops what nobody waits for.
    fn execute(&self, seat: &mut Seat<E>, taken: Taken<W>) -> Duration {
        let Taken {
            batch,
            rows,
            discarded,
        } = taken;
        let begin = (self.clock)();
        self.counters.abandoned(discarded.len());
        // Their `Drop` is foreign code and may panic like any other.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(discarded)));
        if !batch.is_empty() {
            let _ = self.timed(seat, rows, false, |executor| executor.execute(batch));
        }
        (self.clock)().saturating_sub(begin)
    }

    /// Runs on the executor, counts and learns. A panic must not poison the slot nor end the
    /// executor thread.
    fn timed<R>(
        &self,
        seat: &mut Seat<E>,
        rows: usize,
        direct: bool,
        run: impl FnOnce(&mut E) -> R,
    ) -> Result<R, Box<dyn Any + Send>> {
        let begin = (self.clock)();
        let inside = Inside::enter();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut seat.executor)));
        drop(inside);
        self.counters.executed(rows, direct, outcome.is_err());
        if outcome.is_ok() {
            seat.cost.learn(rows, (self.clock)().saturating_sub(begin));
        }
        outcome
    }
}
