//! Explores the orders of threads: no wake-up is lost and no work is left behind.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p tidegate-batching --test loom --target-dir target/loom
//! ```
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use tidegate_batching::{Batcher, Execute, Limits, Refused, Work};

/// A latch that waits without a time limit: a lost wake-up is a deadlock, which loom reports.
#[derive(Clone)]
struct Answers(Arc<(Mutex<usize>, Condvar)>);

impl Answers {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(0), Condvar::new())))
    }

    fn add(&self) {
        *self.0.0.lock().unwrap() += 1;
        self.0.1.notify_all();
    }

    fn wait_for(&self, count: usize) {
        let mut answered = self.0.0.lock().unwrap();
        while *answered < count {
            answered = self.0.1.wait(answered).unwrap();
        }
    }

    fn count(&self) -> usize {
        *self.0.0.lock().unwrap()
    }
}

struct Job(Answers);

impl Work for Job {
    fn rows(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        8
    }

    fn arrived(&self) -> Instant {
        base()
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

struct Backend;

impl Execute<Job> for Backend {
    fn execute(&mut self, batch: Vec<Job>) {
        for job in batch {
            job.0.add();
        }
    }
}

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

type Subject = std::sync::Arc<Batcher<Job, Backend>>;

/// A clock that costs `step` a reading: with 0 every batch is cheap and runs in the flushing
/// thread, with a second none is and the executor thread runs it.
fn batcher(step: Duration) -> Subject {
    batcher_of(1, step)
}

fn batcher_of(instances: usize, step: Duration) -> Subject {
    let limits = Limits {
        max_batch_rows: 2,
        max_queue_rows: 8,
        ..Limits::default()
    };
    let now = std::sync::Mutex::new(base());
    let clock = move || {
        let mut now = now.lock().unwrap();
        *now += step;
        *now
    };
    let backends = (0..instances).map(|_| Backend).collect();
    Batcher::with_clock("loom", backends, limits, Box::new(clock)).unwrap()
}

/// Explores with at most this many forced switches: all known lost wake-ups of such protocols
/// need two, and the whole space would take hours.
const SWITCHES: usize = 3;

fn explore(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(SWITCHES);
    model.check(test);
}

fn submit(batcher: &Subject, answers: &Answers) {
    assert!(batcher.enqueue(Job(answers.clone())).is_ok());
    batcher.flush();
}

fn direct(batcher: &Subject, answers: &Answers) {
    // Answers inside, because loom switches threads at locks only: the others must be able to find
    // the slot taken.
    if batcher.try_direct(|_| answers.add()).is_none() {
        submit(batcher, answers);
    }
}

const CHEAP: Duration = Duration::ZERO;
const DEAR: Duration = Duration::from_secs(1);

#[test]
fn a_flush_against_a_direct_call() {
    explore(|| {
        let (batcher, answers) = (batcher(CHEAP), Answers::new());
        let caller = {
            let (batcher, answers) = (batcher.clone(), answers.clone());
            thread::spawn(move || direct(&batcher, &answers))
        };
        submit(&batcher, &answers);
        answers.wait_for(2);
        caller.join().unwrap();
        batcher.close();
    });
}

#[test]
fn a_flush_against_a_direct_call_that_gives_up() {
    explore(|| {
        let (batcher, answers) = (batcher(CHEAP), Answers::new());
        let caller = {
            let batcher = batcher.clone();
            thread::spawn(move || {
                let _ = batcher.try_direct(|_| ());
            })
        };
        submit(&batcher, &answers);
        answers.wait_for(1);
        caller.join().unwrap();
        batcher.close();
    });
}

#[test]
fn a_flush_against_a_flush_that_runs_here() {
    explore(|| {
        let (batcher, answers) = (batcher(CHEAP), Answers::new());
        // Teaches the cost, so that flushing threads run the batch themselves.
        assert!(batcher.try_direct(|_| ()).is_some());
        let other = {
            let (batcher, answers) = (batcher.clone(), answers.clone());
            thread::spawn(move || submit(&batcher, &answers))
        };
        submit(&batcher, &answers);
        answers.wait_for(2);
        other.join().unwrap();
        batcher.close();
    });
}

#[test]
fn a_flush_against_the_executor_thread() {
    explore(|| {
        let (batcher, answers) = (batcher(DEAR), Answers::new());
        submit(&batcher, &answers);
        submit(&batcher, &answers);
        answers.wait_for(2);
        batcher.close();
    });
}

#[test]
fn a_direct_call_against_the_executor_thread() {
    explore(|| {
        let (batcher, answers) = (batcher(DEAR), Answers::new());
        let caller = {
            let (batcher, answers) = (batcher.clone(), answers.clone());
            thread::spawn(move || direct(&batcher, &answers))
        };
        submit(&batcher, &answers);
        answers.wait_for(2);
        caller.join().unwrap();
        batcher.close();
    });
}

/// Two instances and their threads: with three threads the space is larger, so fewer switches are
/// explored.
#[test]
fn a_flush_against_a_direct_call_with_two_instances() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(SWITCHES - 1);
    model.check(|| {
        let (batcher, answers) = (batcher_of(2, DEAR), Answers::new());
        assert!(batcher.try_direct(|_| answers.add()).is_some());
        submit(&batcher, &answers);
        submit(&batcher, &answers);
        answers.wait_for(3);
        batcher.close();
    });
}

#[test]
fn closing_executes_whatever_was_accepted() {
    explore(|| {
        let (batcher, answers) = (batcher(CHEAP), Answers::new());
        let submitter = {
            let (batcher, answers) = (batcher.clone(), answers.clone());
            thread::spawn(move || {
                let accepted = batcher.enqueue(Job(answers.clone())).is_ok();
                batcher.flush();
                usize::from(accepted)
            })
        };
        batcher.close();
        let before = answers.count();
        let accepted = submitter.join().unwrap();
        assert_eq!(
            before, accepted,
            "close returned before an accepted work was answered"
        );
    });
}
