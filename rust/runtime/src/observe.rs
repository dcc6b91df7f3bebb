//! Watching off the path: answers are handed over when they have been given, and one thread
//! counts them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_predictionlog::log::Answered;
use tidegate_schema::{Error, ErrorKind, Result, TableBuf};

use crate::comparison::Side;
use crate::observed::Observed;

/// How long the observer lets rows gather: waking a thread costs the caller several µs, so it is
/// woken once in this time and not once a request; and one table of many rows is counted several
/// times faster than many of one row.
const GATHER: Duration = Duration::from_millis(20);
/// Observations further apart in time are not counted as one table: windows close by time.
const TOGETHER_SECONDS: f64 = 0.05;
/// Most rows that are counted as one table.
const MAX_TOGETHER: usize = 4_096;
/// Bytes of an observation beside its values: a bound on many tiny ones.
const OVERHEAD: usize = 512;

/// Rows of one model that are counted as one table.
struct Group {
    observed: Arc<Observed>,
    /// Of a version that is compared with others.
    side: Option<Side>,
    /// `None` for a model that takes tensors.
    inputs: Option<TableBuf>,
    answers: TableBuf,
    seen: Vec<Answered>,
    first: f64,
    /// Of all observations in it.
    bytes: usize,
}

impl Group {
    fn is_of(&self, observed: &Arc<Observed>, side: Option<&Side>) -> bool {
        Arc::ptr_eq(&self.observed, observed) && self.side.as_ref() == side
    }

    fn takes(&self, rows: usize, now: f64) -> bool {
        self.answers.rows() + rows <= MAX_TOGETHER && (now - self.first).abs() <= TOGETHER_SECONDS
    }

    fn append(&mut self, inputs: Option<&TableBuf>, answers: &TableBuf, seen: Answered) {
        let appended = match (&mut self.inputs, inputs) {
            (Some(own), Some(more)) => own.append(more),
            _ => Ok(()),
        };
        // The columns are of one schema, so only text beyond 2 GiB fails here; what is half
        // appended is no table and is dropped when counted.
        if appended
            .and_then(|()| self.answers.append(answers))
            .is_err()
        {
            self.observed.drop_rows(answers.rows());
        }
        self.seen.push(seen);
    }

    fn count(self) {
        let inputs = self.inputs.as_ref().map(TableBuf::view).transpose();
        match inputs {
            Ok(inputs) => {
                let side = self.side.as_ref();
                self.observed
                    .count(side, inputs.as_ref(), &self.answers, &self.seen);
                self.observed.write(self.inputs, self.answers, self.seen);
            }
            Err(_) => self.observed.drop_rows(self.answers.rows()),
        }
    }
}

#[derive(Default)]
struct Queue {
    /// In order for each model. Small observations are joined where they arrive, while they are in
    /// that core's cache, and are freed by the thread that made them. Joined in the observer's
    /// thread instead, watching took 15 % of a request's CPU (18 columns, median of 11 pairs).
    waiting: Vec<Group>,
    /// The thread sleeps and must be woken.
    idle: bool,
    /// Somebody waits for the queue to be empty, or it is half full.
    hurry: bool,
    closed: bool,
    pushed: u64,
    counted: u64,
}

struct Shared {
    queue: Mutex<Queue>,
    call: Condvar,
    done: Condvar,
    /// Bytes that wait or are being counted.
    bytes: AtomicUsize,
    limit: usize,
}

/// The queue of what is to be counted, and the thread that counts.
pub(crate) struct Observer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    /// Starts the thread; at most `limit` bytes wait for it.
    pub fn new(limit: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            call: Condvar::new(),
            done: Condvar::new(),
            bytes: AtomicUsize::new(0),
            limit,
        });
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("tidegate-observe".to_owned())
            .spawn(move || served.serve())
            .map_err(|error| {
                Error::new(
                    ErrorKind::Backend,
                    format!("no thread to observe with: {error}"),
                )
            })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands rows over; they are dropped, and counted as dropped, when the queue is full.
    pub fn push(
        &self,
        observed: &Arc<Observed>,
        side: Option<&Side>,
        inputs: Option<TableBuf>,
        answers: TableBuf,
        seen: Answered,
    ) {
        let dropped = |rows, inputs: Option<&TableBuf>| {
            observed.drop_rows(rows);
            if let Some(side) = side {
                side.missed(inputs);
            }
        };
        let shared = &*self.shared;
        let (rows, now) = (answers.rows(), seen.time);
        let bytes = OVERHEAD + inputs.as_ref().map_or(0, TableBuf::bytes) + answers.bytes();
        let before = shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > shared.limit {
            shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            dropped(rows, inputs.as_ref());
            return;
        }
        let mut queue = shared.queue();
        if queue.closed {
            drop(queue);
            shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            dropped(rows, inputs.as_ref());
            return;
        }
        // Few models are watched: a list is searched faster than a map.
        let mut groups = queue.waiting.iter_mut().rev();
        match groups.find(|group| group.is_of(observed, side)) {
            Some(group) if group.takes(rows, now) => {
                group.append(inputs.as_ref(), &answers, seen);
                group.bytes += bytes;
            }
            _ => queue.waiting.push(Group {
                observed: Arc::clone(observed),
                side: side.cloned(),
                inputs,
                answers,
                first: now,
                seen: vec![seen],
                bytes,
            }),
        }
        queue.pushed += 1;
        let half_full = before + bytes > shared.limit / 2 && !queue.hurry;
        if half_full {
            queue.hurry = true;
        }
        if half_full || std::mem::take(&mut queue.idle) {
            drop(queue);
            shared.call.notify_one();
        }
    }

    /// Returns when all that was handed over before has been counted.
    pub fn flush(&self) {
        let mut queue = self.shared.queue();
        let due = queue.pushed;
        while queue.counted < due && !queue.closed {
            queue.hurry = true;
            self.shared.call.notify_one();
            queue = self
                .shared
                .done
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts what waits and ends the thread. May be called again.
    pub fn close(&self) {
        self.flush();
        self.shared.queue().closed = true;
        self.shared.call.notify_one();
        self.shared.done.notify_all();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // Counting panics are caught, so there is no outcome to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        loop {
            let mut queue = self.queue();
            while queue.waiting.is_empty() && !queue.closed {
                queue.idle = true;
                queue = self
                    .call
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            queue.idle = false;
            if !queue.hurry && !queue.closed {
                let gathered = self
                    .call
                    .wait_timeout_while(queue, GATHER, |queue| !queue.hurry && !queue.closed);
                queue = gathered.unwrap_or_else(PoisonError::into_inner).0;
            }
            queue.hurry = false;
            let taken = std::mem::take(&mut queue.waiting);
            let closed = queue.closed;
            drop(queue);
            let bytes = taken.iter().map(|group| group.bytes).sum();
            let count: u64 = taken.iter().map(|group| group.seen.len() as u64).sum();
            // A bug in counting must not end watching for good.
            let caught = std::panic::AssertUnwindSafe(|| taken.into_iter().for_each(Group::count));
            let _ = std::panic::catch_unwind(caught);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.queue().counted += count;
            self.done.notify_all();
            if closed {
                return;
            }
        }
    }
}
