//! Names, versions, and their change under load.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{Collector, Doubler, check_doubled, rows};
use tidegate_runtime::{
    CallOptions, Deployment, Direct, Input, LoadOptions, Model, Options, Runtime,
};
use tidegate_schema::{Error, ErrorKind};

fn doubler(runtime: &Runtime, version: &str) -> Arc<Model> {
    let (backend, _) = Doubler::new();
    runtime
        .load_backend(
            "doubler",
            version,
            Box::new(backend),
            &LoadOptions::default(),
        )
        .unwrap()
}

/// Asks what a deployment chooses.
fn ask_for(runtime: &Runtime, name: &str, version: Option<&str>) -> tidegate_runtime::Answer {
    let ids = runtime.ids();
    let choice = runtime.choose(name, version, &Direct::new(ids, None));
    let routed = choice.unwrap().routed().clone();
    let options = CallOptions {
        routed: Some(routed.clone()),
        ..CallOptions::default()
    };
    let input = Input::Tensors(rows(&[1.0, 2.0, 3.0]));
    routed.model().predict(input, &options).unwrap()
}

fn ask(model: &Arc<Model>) -> tidegate_runtime::Answer {
    model
        .predict(
            Input::Tensors(rows(&[1.0, 2.0, 3.0])),
            &CallOptions::default(),
        )
        .unwrap()
}

#[test]
fn versions_are_texts_and_never_coerced() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let model = doubler(&runtime, "1.0.0");
    assert_eq!(ask(&model).revision(), 0);
    runtime
        .deploy_as(
            Deployment::single("doubler", 7, model)
                .unwrap()
                .with_aliases(vec!["champion".to_owned()]),
        )
        .unwrap();
    for version in [None, Some("1.0.0"), Some("champion")] {
        assert_eq!(ask_for(&runtime, "doubler", version).revision(), 7);
    }
    for version in ["1", "1.0", "01.0.0", "challenger", ""] {
        let error = runtime.model("doubler", Some(version)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.message.contains("deployed is 1.0.0"), "{error}");
    }
    let error = runtime.model("doubbler", None).unwrap_err();
    assert!(error.message.contains("deployed are doubler"), "{error}");
    assert_eq!(runtime.index().len(), 1);
    runtime.undeploy("doubler").unwrap();
    assert_eq!(
        runtime.undeploy("doubler").unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn deployments_change_while_requests_run() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    runtime.deploy("m", doubler(&runtime, "0"), 0).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask_for(&runtime, "m", None);
                    check_doubled(&answer, &[1.0, 2.0, 3.0]);
                    assert_eq!(answer.model.version(), answer.revision().to_string());
                    assert!(answer.revision() >= last);
                    last = answer.revision();
                }
            });
        }
        for revision in 1..100 {
            let model = doubler(&runtime, &revision.to_string());
            runtime.deploy("m", model, revision).unwrap();
            runtime
                .deploy(&format!("other-{revision}"), doubler(&runtime, "x"), 1)
                .unwrap();
            if revision > 5 {
                runtime
                    .undeploy(&format!("other-{}", revision - 5))
                    .unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(runtime.index().len(), 6);
}

#[test]
fn the_last_holder_of_a_model_may_be_its_own_answer() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    for _ in 0..50 {
        let model = doubler(&runtime, "1");
        let collector = Arc::new(Collector::default());
        let done = collector.done(0);
        let input = Input::Tensors(rows(&[1.0; 3]));
        // The answer, which holds the model, is dropped in the thread that runs it.
        let drop_it = move |answer: tidegate_schema::Result<_>| {
            let outcome = answer.map(drop);
            done(Err(Error::internal(format!("{outcome:?}"))));
        };
        model
            .submit(input, &CallOptions::default(), drop_it)
            .detach();
        model.flush();
        drop(model);
        let told = collector.take(1).remove(0).unwrap_err();
        assert_eq!(told.message, "Ok(())");
    }
}

#[test]
fn closing_answers_what_was_accepted_and_refuses_the_rest() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let model = doubler(&runtime, "1");
    runtime.deploy("m", Arc::clone(&model), 1).unwrap();
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..10)
        .map(|number| {
            let input = Input::Tensors(rows(&[number as f32; 3]));
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    runtime.close();
    runtime.close();
    assert!(collector.take(10).iter().all(Result::is_ok));
    drop(tickets);
    assert!(!runtime.ready());
    let error = model
        .predict(Input::Tensors(rows(&[1.0; 3])), &CallOptions::default())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Closed);
    assert_eq!(
        runtime.model("m", None).unwrap_err().kind,
        ErrorKind::Closed
    );
}

#[test]
fn after_a_fork_every_call_says_so() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let model = doubler(&runtime, "1");
    runtime.forked();
    let error = model
        .predict(Input::Tensors(rows(&[1.0; 3])), &CallOptions::default())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Closed);
    assert!(error.message.contains("fork"), "{error}");
}

#[test]
fn metrics_tell_requests_by_model_and_outcome() {
    let runtime = Runtime::new(&Options::default()).unwrap();
    let model = doubler(&runtime, "1.0.0");
    runtime.deploy("m", Arc::clone(&model), 1).unwrap();
    ask(&model);
    let _ = model.predict(Input::Tensors(vec![]), &CallOptions::default());
    let text = runtime.metrics();
    for line in [
        r#"tidegate_requests_total{model="m",version="1.0.0",outcome="ok"} 1"#,
        r#"tidegate_requests_total{model="m",version="1.0.0",outcome="invalid_input"} 1"#,
        r#"tidegate_batch_rows_count{model="m",version="1.0.0"} 1"#,
        r#"tidegate_queue_rows{model="m",version="1.0.0"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
