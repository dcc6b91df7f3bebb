//! Deadlines while a model is busy or hangs: every request is answered at its own, whether it waits
//! or runs, and nobody has to come for that.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use support::{Collector, Doubler, Seen, check_doubled, rows};
use tidegate_runtime::{
    Answer, CallOptions, Input, LoadOptions, Model, Options, Reason, Runtime, Ticket,
};
use tidegate_schema::{Error, ErrorKind, Result};

/// Longer than all else here takes, and never waited for to its end.
const PATIENCE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(50);

/// A model behind a door.
struct Subject {
    _runtime: Arc<Runtime>,
    model: Arc<Model>,
    door: Arc<Mutex<()>>,
    seen: Arc<Seen>,
}

impl Subject {
    fn new(options: &LoadOptions) -> Self {
        let runtime = Runtime::new(&Options::default()).unwrap();
        let (doubler, seen) = Doubler::new();
        let door = Arc::clone(&doubler.door);
        let options = LoadOptions {
            instances: Some(1),
            ..options.clone()
        };
        let model = runtime.load_backend("doubler", "1", Box::new(doubler), &options);
        Self {
            _runtime: runtime,
            model: model.unwrap(),
            door,
            seen,
        }
    }

    fn submit(
        &self,
        name: f32,
        options: &CallOptions,
        done: impl FnOnce(Result<Answer>) + Send + 'static,
    ) -> Ticket {
        let ticket = self.model.submit(input(name), options, done);
        self.model.flush();
        ticket
    }

    /// Lets a request hang in the model; the door has to be held.
    fn hang(&self, options: &CallOptions, done: impl FnOnce(Result<Answer>) + Send + 'static) {
        let before = self.seen.runs.lock().unwrap().len();
        self.submit(0.0, options, done).detach();
        let end = Instant::now() + PATIENCE;
        while self.seen.runs.lock().unwrap().len() == before {
            assert!(Instant::now() < end, "the model was given nothing");
            std::thread::yield_now();
        }
    }

    fn close(&self) -> MutexGuard<'_, ()> {
        self.door.lock().unwrap()
    }
}

fn input(name: f32) -> Input {
    Input::Tensors(rows(&[name; 3]))
}

fn within(time: Duration) -> CallOptions {
    CallOptions {
        deadline: Some(Instant::now() + time),
        ..CallOptions::default()
    }
}

fn late(answer: Result<Answer>) -> Error {
    let error = answer.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Deadline, "{error}");
    error
}

/// One answer, to be waited for.
fn one() -> (
    impl FnOnce(Result<Answer>) + Send + 'static,
    impl FnOnce() -> Result<Answer>,
) {
    let collector = Arc::new(Collector::default());
    let done = collector.done(0);
    (done, move || collector.take(1).remove(0))
}

#[test]
fn a_request_that_waits_is_answered_at_its_deadline() {
    let subject = Subject::new(&LoadOptions::default());
    let (done, first) = one();
    let closed = subject.close();
    subject.hang(&CallOptions::default(), done);
    // Behind one that waits without a deadline, and less important.
    let (done, patient) = one();
    let before = subject.submit(1.0, &CallOptions::default(), done);
    let (done, heard) = one();
    let options = CallOptions {
        priority: 16,
        ..within(SOON)
    };
    let due = options.deadline.unwrap();
    let ticket = subject.submit(2.0, &options, done);
    late(heard());
    assert!(Instant::now() >= due);
    drop(closed);
    for (name, heard) in [(0.0, first), (1.0, patient)] {
        check_doubled(&heard().unwrap(), &[name; 3]);
    }
    assert!(!subject.seen.rows.lock().unwrap().contains(&2.0));
    drop((before, ticket));
}

#[test]
fn a_request_that_runs_is_answered_at_its_deadline_and_once() {
    let subject = Subject::new(&LoadOptions::default());
    let collector = Arc::new(Collector::default());
    // As a model whose batches are known to be quick it would run in the event loop.
    for _ in 0..20 {
        let answer = subject.model.predict(input(0.0), &CallOptions::default());
        check_doubled(&answer.unwrap(), &[0.0; 3]);
    }
    let closed = subject.close();
    // Long enough to be running by then.
    subject.hang(&within(Duration::from_secs(1)), collector.done(0));
    late(collector.take(1).remove(0));
    drop(closed);
    // What comes late goes nowhere, and the model goes on.
    let answer = subject.model.predict(input(5.0), &CallOptions::default());
    check_doubled(&answer.unwrap(), &[5.0; 3]);
    let statistics = subject.model.statistics();
    assert_eq!((statistics.fail.count, statistics.success.count), (1, 21));
}

#[test]
fn a_caller_that_waits_is_answered_at_its_deadline() {
    let subject = Subject::new(&LoadOptions::default());
    for _ in 0..20 {
        let answer = subject.model.predict(input(0.0), &CallOptions::default());
        check_doubled(&answer.unwrap(), &[0.0; 3]);
    }
    let closed = subject.close();
    // The first runs, the second waits.
    for name in [1.0, 2.0] {
        late(subject.model.predict(input(name), &within(SOON)));
    }
    drop(closed);
}

#[test]
fn what_waits_beyond_the_objective_or_the_longest_delay_is_refused() {
    for reason in [Reason::Deadline, Reason::Delay] {
        let mut options = LoadOptions::default();
        match reason {
            Reason::Deadline => options.limits.objective = Some(SOON),
            _ => options.limits.max_delay = Some(SOON),
        }
        let subject = Subject::new(&options);
        let (done, first) = one();
        let closed = subject.close();
        subject.hang(&CallOptions::default(), done);
        let (done, heard) = one();
        let ticket = subject.submit(1.0, &CallOptions::default(), done);
        let error = heard().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Overloaded, "{error}");
        assert!(error.retry_after.is_some());
        assert_eq!(subject.model.statistics().batches.refused(reason), 1);
        assert_eq!(subject.model.statistics().batches.queued_rows, 0);
        drop(closed);
        // What runs is answered, however late.
        check_doubled(&first().unwrap(), &[0.0; 3]);
        drop(ticket);
    }
}

#[test]
fn many_requests_with_many_deadlines_are_each_answered_at_their_own() {
    const REQUESTS: usize = 500;
    let subject = Subject::new(&LoadOptions::default());
    let (done, first) = one();
    let closed = subject.close();
    subject.hang(&CallOptions::default(), done);
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let millis = 10 + (number * 7 % 100) as u64;
            let options = within(Duration::from_millis(millis));
            let (due, done) = (options.deadline.unwrap(), collector.done(number));
            subject.submit(1.0, &options, move |answer| {
                assert!(Instant::now() >= due);
                done(answer);
            })
        })
        .collect();
    for answer in collector.take(REQUESTS) {
        late(answer);
    }
    drop(closed);
    check_doubled(&first().unwrap(), &[0.0; 3]);
    drop(tickets);
    let end = Instant::now() + PATIENCE;
    while subject.model.statistics().batches.queued_rows > 0 {
        assert!(Instant::now() < end, "what was answered still waits");
        std::thread::yield_now();
    }
}
