//! What is watched is what was answered: no row more, none less, none of another model.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use support::{Collector, Folder, bundle, ort};
use tidegate_drift::{Baseline, Monitor};
use tidegate_runtime::{CallOptions, Input, LoadOptions, Model, Options, Report, Runtime, Windows};
use tidegate_schema::{ColumnBuf, ErrorKind, Table, TableBuf};

const NOW: f64 = 1_000.0;

fn load(observation_bytes: usize, rows: u64) -> (Folder, Arc<Runtime>, Arc<Model>) {
    ort();
    let folder = Folder::new();
    bundle::write(folder.path());
    let options = Options {
        clock: Arc::new(|| NOW),
        observation_bytes,
        ..Options::default()
    };
    let runtime = Runtime::new(&options).unwrap();
    let load = LoadOptions {
        windows: Windows {
            rows,
            seconds: f64::INFINITY,
            ..Windows::default()
        },
        ..LoadOptions::default()
    };
    let model = runtime.load(folder.path(), &load).unwrap();
    (folder, runtime, model)
}

/// The rows of a table, each as a table of its own.
fn one_by_one(table: &TableBuf) -> Vec<TableBuf> {
    let whole = table.view().unwrap();
    (0..whole.rows())
        .map(|row| {
            let mut one = TableBuf::new(&bundle::schema(), 1);
            for (column, from) in one.columns.iter_mut().zip(whole.columns()) {
                copy(column, from, row);
            }
            one
        })
        .collect()
}

fn copy(to: &mut ColumnBuf, from: &tidegate_schema::Column<'_>, row: usize) {
    use tidegate_schema::Column;
    if from.is_missing(row) {
        return to.push_null();
    }
    match from {
        Column::Float64(c) => to.push_f64(c.get(row).unwrap()).unwrap(),
        Column::Int64(c) => to.push_i64(c.get(row).unwrap()).unwrap(),
        Column::String(c) => to.push_str(c.get(row).unwrap()).unwrap(),
        _ => panic!("not in the tiny bundle"),
    }
}

/// What a monitor of its own says of these rows and their answers.
fn directly(folder: &Folder, model: &Arc<Model>, table: &TableBuf, rows: u64) -> Report {
    let text = std::fs::read_to_string(folder.path().join("baseline.json")).unwrap();
    let baseline = Arc::new(Baseline::from_json(&text).unwrap());
    let windows = Windows {
        rows,
        seconds: f64::INFINITY,
        ..Windows::default()
    };
    let mut monitor = Monitor::new(baseline, windows, NOW).unwrap();
    let unwatched = CallOptions {
        watch: false,
        ..CallOptions::default()
    };
    for one in one_by_one(table) {
        let answer = model
            .predict(Input::Table(one.clone()), &unwatched)
            .unwrap();
        let (schema, outputs) = answer.columns().unwrap();
        let outputs = outputs.view().unwrap();
        let mut columns = one.view().unwrap().columns().to_vec();
        for name in ["label", "probabilities[1]"] {
            columns.push(outputs.columns()[schema.position(name).unwrap()]);
        }
        monitor
            .observe(&Table::new(columns, 1).unwrap(), NOW)
            .unwrap();
    }
    monitor.report(NOW)
}

/// Counts and distances are equal; moments may differ in the last bits by the order of sums.
fn check_equal(found: &Report, due: &Report) {
    assert_eq!(found.windows.len(), due.windows.len());
    for (found, due) in found.windows.iter().zip(&due.windows) {
        assert_eq!((found.rows, found.closed), (due.rows, due.closed));
        for (found, due) in found.columns.iter().zip(&due.columns) {
            assert_eq!((&found.name, &found.cells), (&due.name, &due.cells));
            assert_eq!((found.psi, found.js), (due.psi, due.js), "{}", found.name);
        }
    }
}

#[test]
fn single_rows_are_watched_as_by_a_monitor_of_their_own() {
    let (folder, _runtime, model) = load(64 << 20, 100);
    let table = bundle::table(250, 7, 20.0);
    for one in one_by_one(&table) {
        model
            .predict(Input::Table(one), &CallOptions::default())
            .unwrap();
    }
    let report = model.drift_report(None).unwrap();
    check_equal(&report, &directly(&folder, &model, &table, 100));
    assert_eq!(report.windows.len(), 3);
    assert_eq!(model.observations_dropped(), 0);
}

#[test]
fn tables_and_submitted_rows_are_watched_alike() {
    let (folder, _runtime, model) = load(64 << 20, u64::MAX);
    let table = bundle::table(1_000, 8, 0.0);
    model
        .predict_table(&table.view().unwrap(), &CallOptions::default())
        .unwrap();
    let expected = directly(&folder, &model, &table, u64::MAX);
    check_equal(&model.drift_report(None).unwrap(), &expected);
    assert!(model.close_window(Some("first")).unwrap());
    assert!(!model.close_window(Some("empty")).unwrap());

    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = one_by_one(&table)
        .into_iter()
        .enumerate()
        .map(|(number, one)| {
            let input = Input::Table(one);
            model.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    model.flush();
    assert!(collector.take(1_000).iter().all(Result::is_ok));
    drop(tickets);
    let report = model.drift_report(None).unwrap();
    assert_eq!(report.windows[0].label.as_deref(), Some("first"));
    let mut second = report;
    second.windows.remove(0);
    check_equal(&second, &expected);
    assert!(model.statistics().batches.mean_batch().unwrap() > 2.0);
}

#[test]
fn what_does_not_fit_the_queue_is_dropped_and_counted() {
    let (_folder, runtime, model) = load(3_000, u64::MAX);
    runtime.deploy("tiny", Arc::clone(&model), 1).unwrap();
    let table = bundle::table(3_000, 9, 0.0);
    for one in one_by_one(&table) {
        model
            .predict(Input::Table(one), &CallOptions::default())
            .unwrap();
    }
    // However quick the observer was so far: these fit no queue of this size.
    let many = Input::Table(bundle::table(1_000, 9, 0.0));
    model.predict(many, &CallOptions::default()).unwrap();
    let counted = model.drift_report(None).unwrap().windows[0].rows;
    let dropped = model.observations_dropped();
    assert!(counted > 0 && dropped >= 1_000);
    assert_eq!(counted + dropped, 4_000);
    let line =
        format!(r#"tidegate_observations_dropped_total{{model="tiny",version="1.0.0"}} {dropped}"#);
    assert!(runtime.metrics().contains(&line));
    // A closed window shows in the gauges.
    model.close_window(None).unwrap();
    let gauge = r#"tidegate_drift_psi{model="tiny",version="1.0.0",column="wind",role="feature"}"#;
    assert!(runtime.metrics().contains(gauge));
}

#[test]
fn refused_and_unwatched_rows_leave_no_trace() {
    let (_folder, _runtime, model) = load(64 << 20, u64::MAX);
    let mut bad = bundle::table(1, 1, 0.0);
    bad.columns[0] = ColumnBuf::from_f64(vec![f64::NAN]);
    let error = model
        .predict(Input::Table(bad), &CallOptions::default())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("\"distance\""), "{error}");
    let empty = TableBuf::new(&bundle::schema(), 0);
    let error = model
        .predict_table(&empty.view().unwrap(), &CallOptions::default())
        .unwrap_err();
    assert!(error.message.contains("no rows"), "{error}");
    let probe = CallOptions {
        watch: false,
        ..CallOptions::default()
    };
    let one = Input::Table(bundle::table(1, 1, 0.0));
    model.predict(one, &probe).unwrap();
    assert!(model.drift_report(None).unwrap().windows.is_empty());
}

#[test]
fn one_row_and_a_table_answer_alike() {
    let (_folder, _runtime, model) = load(64 << 20, u64::MAX);
    let table = bundle::table(700, 10, 5.0);
    let whole = model
        .predict_table(&table.view().unwrap(), &CallOptions::default())
        .unwrap();
    assert_eq!(whole.rows(), 700);
    for (row, one) in one_by_one(&table).into_iter().enumerate() {
        let answer = model
            .predict(Input::Table(one), &CallOptions::default())
            .unwrap();
        for (output, all) in answer.outputs.iter().zip(&whole.outputs) {
            // By their text: a missing carrier is NaN in this model's answers too.
            let due = all.slice_rows(row, 1);
            assert_eq!(format!("{output:?}"), format!("{due:?}"));
        }
    }
}
