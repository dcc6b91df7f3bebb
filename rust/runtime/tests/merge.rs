//! Requests share runs, and never each other's rows.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::{Collector, Doubler, Seen, WIDTH, check_doubled, executions, rows};
use tidegate_runtime::{CallOptions, Input, Limits, LoadOptions, Model, Options, Reason, Runtime};
use tidegate_schema::{ErrorKind, Tensor, TensorData};

fn limits(max_batch_rows: usize, max_queue_rows: usize) -> LoadOptions {
    LoadOptions {
        limits: Limits {
            max_batch_rows,
            max_queue_rows,
            ..Limits::default()
        },
        ..LoadOptions::default()
    }
}

fn doubling(options: &LoadOptions) -> (Arc<Runtime>, Arc<Model>, Arc<Seen>) {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (doubler, seen) = Doubler::new();
    let model = runtime
        .load_backend("doubler", "1.0.0", Box::new(doubler), options)
        .unwrap();
    (runtime, model, seen)
}

/// Values that are different in every request and row.
fn values(request: usize, rows: usize, poisoned: bool) -> Vec<f32> {
    let mut values: Vec<f32> = (0..rows * WIDTH)
        .map(|i| (request * 1_000 + i) as f32)
        .collect();
    if poisoned {
        values[rows / 2 * WIDTH] = f32::NAN;
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_request_gets_its_own_rows(
        requests in proptest::collection::vec((1_usize..12, 0..10), 1..20),
        max_batch_rows in 1_usize..24,
    ) {
        let (_runtime, model, seen) = doubling(&limits(max_batch_rows, 10_000));
        let collector = Arc::new(Collector::default());
        let mut tickets = Vec::new();
        for (number, (count, poison)) in requests.iter().enumerate() {
            let input = Input::Tensors(rows(&values(number, *count, *poison == 0)));
            tickets.push(model.submit(input, &CallOptions::default(), collector.done(number)));
        }
        model.flush();
        let answers = collector.take(requests.len());
        let mut ids = HashSet::new();
        for (number, (answer, (count, poison))) in answers.iter().zip(&requests).enumerate() {
            match answer {
                Ok(answer) => {
                    prop_assert!(*poison != 0);
                    check_doubled(answer, &values(number, *count, false));
                    prop_assert!(ids.insert(answer.prediction_id));
                }
                Err(error) => {
                    prop_assert_eq!(*poison, 0, "{}", error);
                    prop_assert_eq!(error.kind, ErrorKind::InvalidInput);
                }
            }
        }
        prop_assert!(seen.runs.lock().unwrap().iter().all(|rows| *rows <= max_batch_rows));
        let statistics = model.statistics();
        prop_assert_eq!(statistics.success.count + statistics.fail.count, requests.len() as u64);
    }
}

#[test]
fn what_waits_shares_a_run() {
    let (_runtime, model, seen) = doubling(&limits(64, 1_000));
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..20)
        .map(|number| {
            let input = Input::Tensors(rows(&values(number, 2, false)));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    collector.take(20);
    drop(tickets);
    assert_eq!(*seen.runs.lock().unwrap(), [40]);
    assert_eq!(executions(&model, 1), 1);
    let statistics = model.statistics();
    assert_eq!(statistics.rows, 40);
    assert_eq!(statistics.queue.count, 20);
}

#[test]
fn only_the_poisoned_request_fails() {
    let (_runtime, model, _) = doubling(&limits(64, 1_000));
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..33)
        .map(|number| {
            let input = Input::Tensors(rows(&values(number, 1, number == 20)));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    for (number, answer) in collector.take(33).into_iter().enumerate() {
        assert_eq!(answer.is_err(), number == 20, "request {number}");
    }
    drop(tickets);
}

#[test]
fn a_large_request_is_split_and_reassembled() {
    let (_runtime, model, seen) = doubling(&limits(8, 100));
    let whole = values(0, 50, false);
    let answer = model
        .predict(Input::Tensors(rows(&whole)), &CallOptions::default())
        .unwrap();
    check_doubled(&answer, &whole);
    assert_eq!(answer.rows(), 50);
    assert_eq!(*seen.runs.lock().unwrap(), [8, 8, 8, 8, 8, 8, 2]);

    let collector = Arc::new(Collector::default());
    let input = Input::Tensors(rows(&whole));
    let ticket = model.submit(input, &CallOptions::default(), collector.done(0));
    model.flush();
    check_doubled(collector.take(1)[0].as_ref().unwrap(), &whole);
    ticket.cancel();

    // One bad row in one piece fails the request, once.
    let poisoned = Input::Tensors(rows(&values(0, 50, true)));
    let ticket = model.submit(poisoned, &CallOptions::default(), collector.done(0));
    model.flush();
    assert!(collector.take(1)[0].is_err());
    drop(ticket);

    // In its own thread a caller may send any number; the queue holds a hundred.
    let huge = values(0, 101, false);
    let answer = model.predict(Input::Tensors(rows(&huge)), &CallOptions::default());
    check_doubled(&answer.unwrap(), &huge);
    let input = Input::Tensors(rows(&huge));
    let ticket = model.submit(input, &CallOptions::default(), collector.done(0));
    let error = collector.take(1).remove(0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    drop(ticket);
}

#[test]
fn a_full_queue_refuses() {
    let (_runtime, model, _) = doubling(&limits(4, 4));
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..3)
        .map(|number| {
            let input = Input::Tensors(rows(&values(number, 2, false)));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    let answers = collector.take(3);
    assert!(answers[0].is_ok() && answers[1].is_ok());
    assert_eq!(answers[2].as_ref().unwrap_err().kind, ErrorKind::Overloaded);
    assert_eq!(model.statistics().batches.refused(Reason::Rows), 1);
    drop(tickets);
}

#[test]
fn cancelled_and_late_work_is_not_executed() {
    let (_runtime, model, seen) = doubling(&limits(64, 1_000));
    let collector = Arc::new(Collector::default());
    let late = CallOptions {
        deadline: Some(Instant::now()),
        ..CallOptions::default()
    };
    let submit = |number, options: &CallOptions| {
        let input = Input::Tensors(rows(&values(number, 1, false)));
        model.submit(input, options, collector.done(number))
    };
    let kept = submit(0, &CallOptions::default());
    submit(1, &CallOptions::default()).cancel();
    let too_late = submit(2, &late);
    submit(3, &CallOptions::default()).detach();
    model.flush();
    let answers = collector.take(4);
    drop((kept, too_late));
    let kinds: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().err().map(|error| error.kind))
        .collect();
    let expected = [
        None,
        Some(ErrorKind::Cancelled),
        Some(ErrorKind::Deadline),
        None,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(*seen.rows.lock().unwrap(), [0.0, 3_000.0]);
    let batches = model.statistics().batches;
    assert_eq!(batches.refused(Reason::Abandoned), 1);
    assert_eq!(batches.refused(Reason::Deadline), 1);
    assert_eq!(model.statistics().fail.count, 2);
}

#[test]
fn a_caller_stops_waiting_at_its_deadline() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (doubler, seen) = Doubler::new();
    let door = Arc::clone(&doubler.door);
    let model = runtime
        .load_backend("slow", "1", Box::new(doubler), &LoadOptions::default())
        .unwrap();
    let closed = door.lock().unwrap();
    let busy = Arc::clone(&model);
    let holder = std::thread::spawn(move || {
        busy.predict(Input::Tensors(rows(&[1.0; 3])), &CallOptions::default())
    });
    while seen.runs.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let options = CallOptions {
        deadline: Some(Instant::now() + Duration::from_millis(20)),
        ..CallOptions::default()
    };
    let hurried = Arc::clone(&model);
    let late =
        std::thread::spawn(move || hurried.predict(Input::Tensors(rows(&[2.0; 3])), &options));
    let begun = Instant::now();
    while !late.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it waits on");
        std::thread::yield_now();
    }
    // The model is busy still.
    assert_eq!(late.join().unwrap().unwrap_err().kind, ErrorKind::Deadline);
    drop(closed);
    holder.join().unwrap().unwrap();
    // The late request was dropped: nobody waited for it.
    model
        .predict(Input::Tensors(rows(&[3.0; 3])), &CallOptions::default())
        .unwrap();
    assert_eq!(*seen.rows.lock().unwrap(), [1.0, 3.0]);
}

#[test]
fn many_threads_ask_one_model() {
    let (_runtime, model, _) = doubling(&limits(16, 10_000));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let model = &model;
            scope.spawn(move || {
                for request in 0..300 {
                    let own = values(thread * 300 + request, 1 + request % 20, false);
                    let input = Input::Tensors(rows(&own));
                    check_doubled(
                        &model.predict(input, &CallOptions::default()).unwrap(),
                        &own,
                    );
                }
            });
        }
    });
    assert_eq!(model.statistics().success.count, 2_400);
}

#[test]
fn outputs_without_the_rows_are_never_split() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (mut doubler, _) = Doubler::new();
    doubler.short = 1;
    let model = runtime
        .load_backend("short", "1", Box::new(doubler), &LoadOptions::default())
        .unwrap();
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..3)
        .map(|number| {
            let input = Input::Tensors(rows(&values(number, 2, false)));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    // Its tensors pass as they are: each request gets the one row that its own run gave.
    for (number, answer) in collector.take(3).into_iter().enumerate() {
        let own = values(number, 1, false);
        check_doubled(&answer.unwrap(), &own);
    }
    drop(tickets);
}

#[test]
fn what_does_not_fit_is_refused_before_the_queue() {
    let (_runtime, model, seen) = doubling(&LoadOptions::default());
    let wrong = Tensor::new("x", vec![1, 2], TensorData::Fp32(vec![0.0; 2])).unwrap();
    let empty = Tensor::new("x", vec![0, 3], TensorData::Fp32(vec![])).unwrap();
    for tensors in [vec![], vec![wrong], vec![empty]] {
        let error = model
            .predict(Input::Tensors(tensors), &CallOptions::default())
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
    }
    assert!(seen.runs.lock().unwrap().is_empty());
    assert_eq!(model.statistics().fail.count, 3);
}

#[test]
fn the_more_important_request_goes_first() {
    let (_runtime, model, seen) = doubling(&limits(1, 1_000));
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = [3, 0, 1]
        .into_iter()
        .enumerate()
        .map(|(number, priority)| {
            let options = CallOptions {
                priority,
                ..CallOptions::default()
            };
            let input = Input::Tensors(rows(&values(number, 1, false)));
            model.submit(input, &options, collector.done(number))
        })
        .collect();
    model.flush();
    collector.take(3);
    drop(tickets);
    // 0 is the middle of 16.
    assert_eq!(*seen.rows.lock().unwrap(), [2_000.0, 0.0, 1_000.0]);
}

#[test]
fn what_would_miss_the_objective_is_refused_before_it_runs() {
    let mut options = limits(1, 1_000);
    options.limits.objective = Some(Duration::from_millis(500));
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (doubler, seen) = Doubler::new();
    let door = Arc::clone(&doubler.door);
    let model = runtime
        .load_backend("slow", "1", Box::new(doubler), &options)
        .unwrap();
    // Nothing is known before the first run, which is made a slow one.
    std::thread::scope(|scope| {
        let closed = door.lock().unwrap();
        let input = Input::Tensors(rows(&values(0, 1, false)));
        scope.spawn(|| model.predict(input, &CallOptions::default()).unwrap());
        while seen.runs.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(100));
        drop(closed);
    });
    assert_eq!(executions(&model, 1), 1);
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..50)
        .map(|number| {
            let input = Input::Tensors(rows(&values(number, 1, false)));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    let answers = collector.take(50);
    drop(tickets);
    let refused: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    assert!(refused.len() >= 45, "{} refused", refused.len());
    for error in refused {
        assert_eq!(error.kind, ErrorKind::Overloaded, "{error}");
        assert!(error.retry_after.is_some());
    }
    assert!(seen.runs.lock().unwrap().len() <= 6);
    let batches = model.statistics().batches;
    assert!(batches.refused(Reason::Deadline) >= 45);
    assert!(
        batches
            .sizes
            .iter()
            .all(|size| size.cost.is_some() && size.ns > 0)
    );
}

#[test]
fn a_backend_that_can_be_only_one_is_not_asked_for_two() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    for (instances, kind) in [
        (0, ErrorKind::InvalidInput),
        (2, ErrorKind::Unsupported),
        (65, ErrorKind::InvalidInput),
    ] {
        let options = LoadOptions {
            instances: Some(instances),
            ..LoadOptions::default()
        };
        let (doubler, _) = Doubler::new();
        let loaded = runtime.load_backend("doubler", "1", Box::new(doubler), &options);
        assert_eq!(loaded.unwrap_err().kind, kind);
    }
}

#[test]
fn a_panic_in_the_callback_does_not_stop_the_model() {
    let (_runtime, model, _) = doubling(&LoadOptions::default());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let input = Input::Tensors(rows(&[1.0; 3]));
    let ticket = model.submit(input, &CallOptions::default(), |_| {
        panic!("in the callback")
    });
    model.flush();
    model
        .predict(Input::Tensors(rows(&[1.0; 3])), &CallOptions::default())
        .unwrap();
    std::panic::set_hook(hook);
    drop(ticket);
}
