//! What is kept of rows that broke a rule, and counted of values of a wrong type.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};
use support::{Folder, bundle, ort};
use tidegate_runtime::log::{Log, QUEUE_BYTES, Rotation, Rules};
use tidegate_runtime::{
    CallOptions, FailedRow, Input, LoadOptions, Model, Options, Policy, Runtime,
};
use tidegate_schema::{ColumnBuf, TableBuf, Tensor, TensorData};

struct Bench {
    _folder: Folder,
    runtime: Arc<Runtime>,
    model: Arc<Model>,
    /// Seconds since 1970.
    now: Arc<AtomicU64>,
}

impl Bench {
    fn new(log: Option<Rules>) -> Self {
        ort();
        let folder = Folder::new();
        let far = json!({"op": "le", "left": {"op": "col", "name": "distance"},
            "right": {"op": "literal", "value": 1000}});
        let rules = json!({"version": 1, "rules": [
            {"name": "far", "check": {"kind": "expression", "expression": far}}]});
        bundle::write_with(folder.path(), Some(&rules.to_string()));
        let now = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&now);
        let log = log.map(|rules| {
            let log = Log::new(rules, Rotation::default(), QUEUE_BYTES, "test".to_owned());
            Arc::new(log.unwrap())
        });
        let options = Options {
            clock: Arc::new(move || clock.load(Relaxed) as f64),
            log,
            ..Options::default()
        };
        let runtime = Runtime::new(&options).unwrap();
        let model = runtime
            .load(folder.path(), &LoadOptions::default())
            .unwrap();
        runtime.deploy("tiny", Arc::clone(&model), 1).unwrap();
        Self {
            _folder: folder,
            runtime,
            model,
            now,
        }
    }

    fn ask(&self, table: TableBuf) -> bool {
        self.now.fetch_add(1, Relaxed);
        let asked = self
            .model
            .predict(Input::Table(table), &CallOptions::default());
        asked.is_ok()
    }

    fn kept(&self) -> Vec<(f64, Value)> {
        let rows = self.model.failed_rows().into_iter();
        let read = |row: FailedRow| (row.at, serde_json::from_str(&row.row).unwrap());
        rows.map(read).collect()
    }
}

/// Rows of which one is too far.
fn rows(count: usize, far: usize) -> TableBuf {
    let mut table = bundle::table(count, 3, 0.0);
    let distances = (0..count).map(|row| if row == far { 9_000.0 } else { 500.0 });
    table.columns[0] = ColumnBuf::from_f64(distances.collect());
    table
}

#[test]
fn the_row_that_breaks_a_rule_is_found_among_many() {
    let bench = Bench::new(None);
    assert!(bench.ask(rows(100, 100)));
    assert_eq!(bench.kept(), []);
    for (rows_of, far) in [(1, 0), (2, 1), (777, 0), (777, 500), (5_000, 4_999)] {
        assert!(!bench.ask(rows(rows_of, far)));
        let (at, row) = bench.kept().swap_remove(0);
        assert_eq!(at, bench.now.load(Relaxed) as f64);
        assert_eq!(row["distance"], 9_000.0, "{far} of {rows_of}");
        let names: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(names, ["carrier", "distance", "wind"]);
    }
    assert_eq!(
        bench.model.failed_rows()[0].reason,
        r#"it breaks rule "far""#
    );
    // What is let through broke the rule all the same; and a few rows are all that is kept.
    bench.model.set_guard(Policy::Count).unwrap();
    for _ in 0..50 {
        assert!(bench.ask(rows(3, 2)));
    }
    let kept = bench.kept();
    assert_eq!(kept.len(), 8);
    assert_eq!(kept[0].0 - kept[7].0, 7.0);
}

#[test]
fn what_the_log_leaves_out_or_hashes_is_so_here() {
    let mut rules = Rules::default();
    rules.sample = 0.0;
    rules.redact = vec!["wind".to_owned()];
    rules.hash = vec!["distance".to_owned()];
    let bench = Bench::new(Some(rules.with_key(&[9; 32]).unwrap()));
    assert!(!bench.ask(rows(1, 0)));
    let (_, row) = bench.kept().swap_remove(0);
    let names: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(names, ["carrier", "distance"]);
    assert_eq!(row["distance"].as_str().unwrap().len(), 32);
}

#[test]
fn values_of_a_wrong_type_are_counted_by_column() {
    let bench = Bench::new(None);
    let text = |name: &str| {
        let data = TensorData::Bytes(vec![b"one".to_vec()]);
        Tensor::new(name, vec![1, 1], data).unwrap()
    };
    let number = |name: &str, value: f64| {
        Tensor::new(name, vec![1, 1], TensorData::Fp64(vec![value])).unwrap()
    };
    let wrong = [
        vec![number("distance", 1.0), text("wind")],
        vec![text("distance")],
        vec![number("distance", 1.0), number("carrier", 2.0)],
        vec![number("distance", 1.0), text("wind")],
        // Another fault is none of this.
        vec![number("wind", 1.0)],
        vec![number("distance", 1.0), number("elsewhere", 1.0)],
    ];
    for tensors in wrong {
        let asked = Input::Tensors(tensors);
        bench
            .model
            .predict(asked, &CallOptions::default())
            .unwrap_err();
    }
    // A table of other columns than those of the model.
    let mut table = rows(1, 1);
    table.columns[1] = ColumnBuf::new(tidegate_schema::DType::Int64, 1);
    table.columns[1].push_i64(3).unwrap();
    assert!(!bench.ask(table.clone()));
    let lent = table.view().unwrap();
    let lent = bench.model.predict_table(&lent, &CallOptions::default());
    lent.unwrap_err();
    let due = [("distance", 1), ("wind", 4), ("carrier", 1)];
    let due = due.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(bench.model.mistyped_columns(), due);
    let line = r#"tidegate_mistyped_requests_total{model="tiny",version="1.0.0",column="wind"} 4"#;
    assert!(bench.runtime.metrics().contains(line));
    let report = bench.model.drift_report(None).unwrap();
    let found: Vec<(String, u64)> = report
        .mistyped
        .into_iter()
        .map(|column| (column.name, column.requests))
        .collect();
    assert_eq!(found, due);
}
