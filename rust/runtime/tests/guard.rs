//! The rules of a bundle before its model: refused, repaired, counted, and told on the metrics page.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Folder, bundle, ort};
use tidegate_runtime::{CallOptions, Input, LoadOptions, Model, Options, Policy, Runtime};
use tidegate_schema::{Error, ErrorKind, Result, TableBuf};

fn rules(list: &Value) -> String {
    json!({"version": 1, "rules": list}).to_string()
}

fn far() -> Value {
    let distance = json!({"op": "col", "name": "distance"});
    json!({
        "name": "far",
        "check": {"kind": "expression", "expression":
            {"op": "le", "left": distance, "right": {"op": "literal", "value": 1000}}},
        "repair": {"distance": {"op": "clip", "input": distance, "high": 1000}, "carrier": null},
    })
}

fn windy() -> Value {
    json!({
        "name": "windy",
        "severity": "warning",
        "check": {"kind": "expression", "expression":
            {"op": "lt", "left": {"op": "col", "name": "wind"}, "right": {"op": "literal", "value": 50}}},
    })
}

fn load(rules: &str) -> Result<(Folder, Arc<Runtime>, Arc<Model>)> {
    ort();
    let folder = Folder::new();
    bundle::write_with(folder.path(), Some(rules));
    let runtime = Runtime::new(&Options::default())?;
    let model = runtime.load(folder.path(), &LoadOptions::default())?;
    runtime.deploy("tiny", Arc::clone(&model), 1)?;
    Ok((folder, runtime, model))
}

/// Two rows, of which the second is as given.
fn request(distance: f64, wind: f64, carrier: Option<&str>) -> TableBuf {
    let mut table = TableBuf::new(&bundle::schema(), 2);
    for (distance, wind, carrier) in [(500.0, 3.0, Some("UA")), (distance, wind, carrier)] {
        table.columns[0].push_f64(distance).unwrap();
        table.columns[1].push_f64(wind).unwrap();
        match carrier {
            Some(carrier) => table.columns[2].push_str(carrier).unwrap(),
            None => table.columns[2].push_null(),
        }
    }
    table
}

fn ask(model: &Arc<Model>, table: TableBuf) -> Result<String> {
    let direct = model.predict(Input::Table(table.clone()), &CallOptions::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    model
        .submit(
            Input::Table(table.clone()),
            &CallOptions::default(),
            move |outcome| sender.send(outcome).unwrap(),
        )
        .detach();
    model.flush();
    let queued = receiver.recv().unwrap();
    let lent = model.predict_table(&table.view()?, &CallOptions::default());
    let text = |outcome: Result<tidegate_runtime::Answer>| {
        outcome.map(|answer| format!("{:?}", answer.outputs))
    };
    let (direct, queued, lent) = (text(direct), text(queued), text(lent));
    assert_eq!(direct, queued);
    assert_eq!(direct, lent);
    direct
}

#[test]
fn a_row_that_breaks_a_rule_is_refused_on_every_path() {
    let (_folder, runtime, model) = load(&rules(&json!([far(), windy()]))).unwrap();
    ask(&model, request(700.0, 3.0, None)).unwrap();
    let error = ask(&model, request(1500.0, 70.0, None)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert_eq!(
        error.message,
        r#"row 1 breaks rule "far", (col("distance") <= 1000): send a row that keeps it"#
    );
    let metrics = runtime.metrics();
    for line in [
        r#"tidegate_rule_failures_total{model="tiny",version="1.0.0",rule="far"} 3"#,
        r#"tidegate_rule_failures_total{model="tiny",version="1.0.0",rule="windy"} 3"#,
        r#"tidegate_guarded_requests_total{model="tiny",version="1.0.0",action="rejected"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[test]
fn a_repaired_request_is_answered_as_the_repaired_row() {
    let (_folder, _runtime, model) = load(&rules(&json!([far()]))).unwrap();
    model.set_guard(Policy::Repair).unwrap();
    let repaired = ask(&model, request(1500.0, 3.0, Some("AA"))).unwrap();
    assert_eq!(repaired, ask(&model, request(1000.0, 3.0, None)).unwrap());
    let counted = model.guarded().unwrap();
    assert_eq!((counted.rejected, counted.repaired), (0, 3));
    model.set_guard(Policy::Count).unwrap();
    let counted_only = ask(&model, request(1500.0, 3.0, Some("AA"))).unwrap();
    assert_ne!(counted_only, repaired);
    assert_eq!(model.guarded().unwrap().broken, [("far".to_owned(), 6)]);
}

#[test]
fn rules_that_do_not_fit_the_model_are_refused_when_it_is_loaded() {
    let refused = |rules: &str| -> Error { load(rules).err().unwrap() };
    let column = json!([{"name": "r", "check": {"kind": "expression", "expression":
        {"op": "is_null", "input": {"op": "col", "name": "label"}}}}]);
    let error = refused(&rules(&column));
    assert!(error.message.contains(r#"rules.json: rule "r""#), "{error}");
    assert!(
        error.message.contains(r#"unknown column "label""#),
        "{error}"
    );
    let mut wrong = far();
    wrong["repair"] = json!({"distance": "near"});
    let error = refused(&rules(&json!([wrong])));
    assert!(error.message.contains("where a number is due"), "{error}");
    let mut wrong = far();
    wrong["repair"] = json!({"distance": null});
    let error = refused(&rules(&json!([wrong])));
    assert!(error.message.contains("may not be missing"), "{error}");
    let error = refused(r#"{"version": 9, "rules": []}"#);
    assert_eq!(error.kind, ErrorKind::State);
    assert!(error.message.contains("upgrade tidegate"), "{error}");
    let error = refused(r#"{"version": 1, "rules": ["#);
    assert_eq!(error.kind, ErrorKind::State);
}

#[test]
fn a_model_without_rules_has_no_guard_to_set() {
    ort();
    let folder = Folder::new();
    bundle::write(folder.path());
    let runtime = Runtime::new(&Options::default()).unwrap();
    let model = runtime
        .load(folder.path(), &LoadOptions::default())
        .unwrap();
    assert!(model.guarded().is_none());
    let error = model.set_guard(Policy::Count).unwrap_err();
    assert!(error.message.contains("build it with rules"), "{error}");
}
