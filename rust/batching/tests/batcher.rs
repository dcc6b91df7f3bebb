//! The batcher with real threads.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_batching::{Batcher, Clock, Execute, Limits, Reason, Refused, Work};

fn limits() -> Limits {
    Limits {
        max_batch_rows: 8,
        max_queue_rows: 32,
        ..Limits::default()
    }
}

/// Answers when it is executed, or when it is dropped.
struct Job {
    rows: usize,
    gone: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<Outcome>>>,
    id: usize,
    done: bool,
    arrived: Instant,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Executed(usize),
    Dropped(usize),
    Refused(usize, Reason),
}

impl Work for Job {
    fn rows(&self) -> usize {
        self.rows
    }

    fn compatible(&self, _: &Self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        8 * self.rows
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn priority(&self) -> u32 {
        0
    }

    fn abandoned(&self) -> bool {
        self.gone.load(SeqCst)
    }

    fn refuse(refused: Refused<Self>) {
        let (mut job, reason) = (refused.work, refused.refusal.reason);
        job.done = true;
        let outcome = Outcome::Refused(job.id, reason);
        job.answers.lock().unwrap().push(outcome);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.done {
            self.answers.lock().unwrap().push(Outcome::Dropped(self.id));
        }
    }
}

/// Executes, panics on a job of 7 rows, and waits at the door with a job of 6 rows.
struct Backend {
    busy: AtomicBool,
    seen: Arc<AtomicUsize>,
    door: Arc<Mutex<()>>,
}

impl Execute<Job> for Backend {
    fn execute(&mut self, batch: Vec<Job>) {
        assert!(!self.busy.swap(true, SeqCst), "two threads in one slot");
        self.seen.fetch_add(batch.len(), SeqCst);
        if batch.iter().any(|job| job.rows == 6) {
            drop(self.door.lock());
        }
        let fails = batch.iter().any(|job| job.rows == 7);
        self.busy.store(false, SeqCst);
        assert!(!fails, "asked to");
        for mut job in batch {
            job.done = true;
            job.answers.lock().unwrap().push(Outcome::Executed(job.id));
        }
    }
}

struct Bench {
    batcher: Arc<Batcher<Job, Backend>>,
    answers: Arc<Mutex<Vec<Outcome>>>,
    gone: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
    /// Whoever holds it keeps a job of 6 rows waiting.
    door: Arc<Mutex<()>>,
}

/// A clock that stands still: a batch that has run is known to be cheap.
fn still() -> Clock {
    let now = Instant::now();
    Box::new(move || now)
}

/// Waits until it is so. A sleep would be a guess at how busy the machine is.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

impl Bench {
    fn new() -> Self {
        Self::timed_by(Box::new(Instant::now))
    }

    fn timed_by(clock: Clock) -> Self {
        let (seen, door) = (Arc::default(), Arc::default());
        let backend = Backend {
            busy: AtomicBool::new(false),
            seen: Arc::clone(&seen),
            door: Arc::clone(&door),
        };
        Self {
            batcher: Batcher::with_clock("test-executor", vec![backend], limits(), clock).unwrap(),
            answers: Arc::default(),
            gone: Arc::default(),
            seen,
            door,
        }
    }

    fn job(&self, id: usize, rows: usize) -> Job {
        Job {
            rows,
            gone: Arc::new(AtomicBool::new(false)),
            answers: Arc::clone(&self.answers),
            id,
            done: false,
            arrived: Instant::now(),
            deadline: None,
        }
    }

    fn wait_for(&self, answers: usize) -> Vec<Outcome> {
        let now = || self.answers.lock().unwrap().clone();
        until("all are answered", || now().len() >= answers);
        now()
    }
}

#[test]
fn flush_runs_here_once_the_cost_is_known() {
    let bench = Bench::timed_by(still());
    assert_eq!(bench.batcher.try_direct(|_| 5), Some(5));
    for id in 0..4 {
        bench.batcher.enqueue(bench.job(id, 1)).unwrap();
    }
    assert_eq!(bench.batcher.statistics().queued_rows, 4);
    bench.batcher.flush();
    // No wait: the flush itself has executed them, in order and as one batch.
    let executed: Vec<Outcome> = (0..4).map(Outcome::Executed).collect();
    assert_eq!(*bench.answers.lock().unwrap(), executed);
    let statistics = bench.batcher.statistics();
    assert_eq!(
        (statistics.executions, statistics.direct, statistics.rows),
        (2, 1, 5)
    );
    assert_eq!(statistics.batch_rows[0..3], [1, 0, 1]);
    assert_eq!(statistics.mean_batch(), Some(2.5));
    bench.batcher.close();
}

#[test]
fn an_unknown_cost_goes_to_the_executor_thread() {
    let bench = Bench::new();
    bench.batcher.enqueue(bench.job(0, 1)).unwrap();
    bench.batcher.flush();
    assert_eq!(bench.wait_for(1), [Outcome::Executed(0)]);
    bench.batcher.close();
}

#[test]
fn a_direct_caller_never_overtakes_the_queue() {
    let bench = Bench::new();
    bench.batcher.enqueue(bench.job(0, 1)).unwrap();
    assert_eq!(bench.batcher.try_direct(|_| ()), None);
    // Nobody flushed: the refused direct call has called the executor thread.
    assert_eq!(bench.wait_for(1), [Outcome::Executed(0)]);
    bench.batcher.close();
}

#[test]
fn refusals_name_their_reason_and_give_the_work_back() {
    let bench = Bench::new();
    let refused = bench.batcher.enqueue(bench.job(9, 33)).unwrap_err();
    assert_eq!(
        (refused.refusal.reason, refused.work.id),
        (Reason::TooLarge, 9)
    );
    bench.batcher.enqueue(bench.job(0, 30)).unwrap();
    let refused = bench.batcher.enqueue(bench.job(1, 3)).unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Rows);
    bench.batcher.close();
    let refused = bench.batcher.enqueue(bench.job(2, 1)).unwrap_err();
    assert_eq!(refused.refusal.reason, Reason::Closed);
    assert_eq!(bench.batcher.try_direct(|_| ()), None);
    let statistics = bench.batcher.statistics();
    for reason in [Reason::TooLarge, Reason::Rows, Reason::Closed] {
        assert_eq!(statistics.refused(reason), 1, "{reason:?}");
    }
    assert!(
        bench
            .answers
            .lock()
            .unwrap()
            .contains(&Outcome::Executed(0)),
        "close drains"
    );
}

#[test]
fn abandoned_work_is_dropped_before_it_costs_anything() {
    let bench = Bench::new();
    let mut job = bench.job(0, 1);
    job.gone = Arc::clone(&bench.gone);
    bench.batcher.enqueue(job).unwrap();
    bench.batcher.enqueue(bench.job(1, 1)).unwrap();
    bench.gone.store(true, SeqCst);
    bench.batcher.flush();
    assert_eq!(
        bench.wait_for(2),
        [Outcome::Refused(0, Reason::Abandoned), Outcome::Executed(1)]
    );
    assert_eq!(bench.seen.load(SeqCst), 1);
    assert_eq!(bench.batcher.statistics().refused(Reason::Abandoned), 1);
    bench.batcher.close();
}

#[test]
fn a_panicking_executor_keeps_its_thread_and_its_slot() {
    let bench = Bench::new();
    bench.batcher.enqueue(bench.job(0, 7)).unwrap();
    bench.batcher.flush();
    assert_eq!(bench.wait_for(1), [Outcome::Dropped(0)]);
    bench.batcher.enqueue(bench.job(1, 1)).unwrap();
    bench.batcher.flush();
    assert_eq!(bench.wait_for(2)[1], Outcome::Executed(1));
    let fall = || bench.batcher.try_direct(|_| panic!("in the caller"));
    // The executor thread may look once more after its answers: then the slot is taken.
    until("it panics here", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(fall)).is_err()
    });
    until("the slot is free", || {
        bench.batcher.try_direct(|_| 1) == Some(1)
    });
    assert_eq!(bench.batcher.statistics().panics, 2);
    bench.batcher.close();
    bench.batcher.close();
}

#[test]
fn what_gathers_while_the_backend_is_busy_is_the_next_batch() {
    let bench = Bench::new();
    let closed = bench.door.lock().unwrap();
    bench.batcher.enqueue(bench.job(0, 6)).unwrap();
    bench.batcher.flush();
    until("the backend is busy", || bench.seen.load(SeqCst) == 1);
    for id in 1..5 {
        bench.batcher.enqueue(bench.job(id, 1)).unwrap();
        bench.batcher.flush();
    }
    drop(closed);
    bench.wait_for(5);
    // A batch is counted after its answers are given: the end of the thread is waited for.
    bench.batcher.close();
    let statistics = bench.batcher.statistics();
    assert_eq!((statistics.executions, statistics.rows), (2, 10));
}

#[test]
fn close_waits_for_a_batch_in_another_thread() {
    let bench = Bench::new();
    let inside = Barrier::new(2);
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            bench.batcher.try_direct(|_| {
                inside.wait();
                // Time for a close that does not wait to be seen.
                thread::sleep(Duration::from_millis(30));
                finished.store(true, SeqCst);
            })
        });
        inside.wait();
        bench.batcher.close();
        assert!(finished.load(SeqCst));
    });
}

/// An answer may drop the last handle of its own batcher.
struct Chain {
    batcher: Mutex<Weak<Batcher<Link, Closer>>>,
}

struct Link {
    chain: Arc<Chain>,
}

impl Work for Link {
    fn rows(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        8
    }

    fn arrived(&self) -> Instant {
        Instant::now()
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

struct Closer;

impl Execute<Link> for Closer {
    fn execute(&mut self, batch: Vec<Link>) {
        for link in batch {
            if let Some(batcher) = link.chain.batcher.lock().unwrap().upgrade() {
                batcher.close();
            }
        }
    }
}

#[test]
fn closing_from_inside_does_not_wait_for_itself() {
    for warm in [false, true] {
        let batcher = Batcher::with_clock("closer", vec![Closer], limits(), still()).unwrap();
        if warm {
            batcher.try_direct(|_| ());
        }
        let chain = Arc::new(Chain {
            batcher: Mutex::new(Arc::downgrade(&batcher)),
        });
        assert!(batcher.enqueue(Link { chain }).is_ok());
        batcher.flush();
        batcher.close();
        assert_eq!(batcher.statistics().queued_rows, 0);
    }
}

/// Waits inside until it is told to go on.
struct Gate {
    entered: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
}

impl Execute<Job> for Gate {
    fn execute(&mut self, batch: Vec<Job>) {
        self.entered.fetch_add(1, SeqCst);
        until("the gate opens", || self.open.load(SeqCst));
        for mut job in batch {
            job.done = true;
            job.answers.lock().unwrap().push(Outcome::Executed(job.id));
        }
    }
}

fn gates(count: usize) -> (Vec<Gate>, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (entered, open) = (Arc::default(), Arc::default());
    let gate = |_| Gate {
        entered: Arc::clone(&entered),
        open: Arc::clone(&open),
    };
    ((0..count).map(gate).collect(), entered, open)
}

#[test]
fn instances_run_batches_at_the_same_time() {
    let bench = Bench::new();
    let (gates, entered, open) = gates(3);
    let batcher = Batcher::new("gates", gates, limits()).unwrap();
    for id in 0..3 {
        // 8 rows are a batch.
        batcher.enqueue(bench.job(id, 8)).unwrap();
        batcher.flush();
    }
    until("three batches run at once", || entered.load(SeqCst) == 3);
    batcher.enqueue(bench.job(3, 8)).unwrap();
    batcher.flush();
    assert_eq!(batcher.statistics().queued_rows, 8);
    open.store(true, SeqCst);
    bench.wait_for(4);
    batcher.close();
    let statistics = batcher.statistics();
    assert_eq!((statistics.instances, statistics.executions), (3, 4));
}

#[test]
fn what_cannot_be_in_time_is_refused_while_the_backend_is_busy() {
    let bench = Bench::new();
    let (gates, entered, open) = gates(1);
    let batcher = Batcher::new("gate", gates, limits()).unwrap();
    batcher.enqueue(bench.job(0, 1)).unwrap();
    batcher.flush();
    until("the batch runs", || entered.load(SeqCst) == 1);
    let mut late = bench.job(1, 1);
    late.deadline = Some(Instant::now());
    batcher.enqueue(late).unwrap();
    batcher.flush();
    assert_eq!(bench.wait_for(1), [Outcome::Refused(1, Reason::Deadline)]);
    assert_eq!(batcher.statistics().queued_rows, 0);
    // What nobody waits for does not keep others out.
    let gone = bench.job(2, 32);
    gone.gone.store(true, SeqCst);
    batcher.enqueue(gone).unwrap();
    batcher.enqueue(bench.job(3, 1)).unwrap();
    let refused = Outcome::Refused(2, Reason::Abandoned);
    assert_eq!(bench.wait_for(2)[1], refused);
    open.store(true, SeqCst);
    bench.wait_for(4);
    batcher.close();
}

#[test]
fn zero_limits_are_refused() {
    let none = Limits {
        max_batch_rows: 0,
        ..limits()
    };
    let error = Batcher::new("none", vec![Closer], none).err().unwrap();
    assert!(error.to_string().contains("max_batch_rows"), "{error}");
    let endless = Limits {
        objective: Some(Duration::MAX),
        ..limits()
    };
    let error = Batcher::new("none", vec![Closer], endless).err().unwrap();
    assert!(error.to_string().contains("objective"), "{error}");
    let error = Batcher::<Link, Closer>::new("none", vec![], limits());
    assert!(error.err().unwrap().to_string().contains("instances"));
}

#[test]
fn many_threads_lose_nothing() {
    let bench = Bench::new();
    let direct = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in 0..6 {
            let (bench, direct, refused) = (&bench, &direct, &refused);
            scope.spawn(move || {
                for i in 0..2_000 {
                    if client % 2 == 0 && bench.batcher.try_direct(|_| ()).is_some() {
                        direct.fetch_add(1, SeqCst);
                        continue;
                    }
                    match bench.batcher.enqueue(bench.job(i, 1 + i % 3)) {
                        Ok(()) => {
                            bench.batcher.flush();
                        }
                        // The refused job is dropped here, which is its answer.
                        Err(refusal) => {
                            assert_eq!(refusal.refusal.reason, Reason::Rows);
                            refused.fetch_add(1, SeqCst);
                        }
                    }
                }
            });
        }
    });
    let expected = 12_000 - direct.load(SeqCst);
    let answers = bench.wait_for(expected);
    let dropped = answers
        .iter()
        .filter(|a| matches!(a, Outcome::Dropped(_)))
        .count();
    assert_eq!((answers.len(), dropped), (expected, refused.load(SeqCst)));
    bench.batcher.close();
}
