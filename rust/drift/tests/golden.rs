//! The written form of baselines and of snapshots with segments, byte for byte, and the form of a
//! report, which the Python package reads.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-drift --test golden` writes the files; do that only
//! for a new form, never to make a changed one pass.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use tidegate_drift::{
    AlarmOptions, Baseline, BaselineBuilder, Monitor, Report, Segments, Snapshot, Windows,
};
use tidegate_schema::{DType, Field, Schema, TableBuf};

fn golden(name: &str, found: &str) -> String {
    let path = format!(
        "{}/../../tests/golden/drift/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, found, "{name}");
    text
}

fn inputs() -> Schema {
    Schema::new(vec![
        Field::nullable("rain", DType::Float64),
        Field::required("seats", DType::Int64),
        Field::nullable("departure", DType::Timestamp),
        Field::nullable("carrier", DType::String),
        Field::required("weekend", DType::Bool),
        Field::nullable("empty", DType::Float64),
    ])
    .unwrap()
}

fn outputs() -> Schema {
    Schema::new(vec![Field::required("probabilities[1]", DType::Float64)]).unwrap()
}

/// Rows with some of each: missing, repeated, rising; `shift` moves them.
fn table(rows: i64, shift: i64) -> TableBuf {
    let fields = [inputs().fields(), outputs().fields()].concat();
    let mut table = TableBuf::new(&Schema::new(fields).unwrap(), 0);
    for row in 0..rows {
        let [rain, seats, departure, carrier, weekend, empty, late] = &mut table.columns[..] else {
            return table;
        };
        match row % 13 {
            0 => rain.push_null(),
            1 => rain.push_f64(0.25 * (row % 7 + shift) as f64).unwrap(),
            _ => rain.push_f64(0.0).unwrap(),
        }
        seats.push_i64(50 + row * 37 % 200 + 10 * shift).unwrap();
        departure
            .push_timestamp(1_357_041_720_000_000 + (row + 50 * shift) * 60_000_000)
            .unwrap();
        match row % 11 + shift {
            0 => carrier.push_null(),
            n if n < 4 => carrier.push_str("UA").unwrap(),
            n => carrier.push_str(&format!("C{n}")).unwrap(),
        }
        weekend.push_bool((row + shift) % 7 < 2).unwrap();
        empty.push_null();
        late.push_f64((row * 61 % 100) as f64 / 100.0).unwrap();
    }
    table
}

fn baseline() -> Baseline {
    let mut builder = BaselineBuilder::new(&inputs(), &outputs()).unwrap();
    builder.update(&table(300, 0).view().unwrap()).unwrap();
    builder.finish().unwrap()
}

#[test]
fn baseline_1() {
    let baseline = baseline();
    let text = golden("baseline-1.json", &baseline.to_json());
    assert_eq!(Baseline::from_json(&text).unwrap(), baseline);
}

#[test]
fn report_1() {
    let windows = Windows {
        rows: 200,
        seconds: 60.0,
        ..Windows::default()
    };
    let mut monitor = Monitor::new(Arc::new(baseline()), windows, 1000.0).unwrap();
    monitor
        .observe(&table(250, 0).view().unwrap(), 1010.0)
        .unwrap();
    monitor.close(1020.0, Some("July")).unwrap();
    monitor
        .observe(&table(40, 2).view().unwrap(), 1030.5)
        .unwrap();
    golden("report-1.json", &monitor.report(1031.0).to_json());
}

/// The baseline with its rows by carrier.
fn segmented() -> Baseline {
    let baseline = baseline();
    let segments = Segments::new(&baseline, "carrier").unwrap();
    let mut parts = Vec::new();
    let rows = table(300, 0);
    segments
        .take(&baseline, &rows.view().unwrap(), &mut parts)
        .unwrap();
    baseline.with_segments(segments, parts).unwrap()
}

#[test]
fn baseline_2() {
    let baseline = segmented();
    let text = golden("baseline-2.json", &baseline.to_json());
    assert_eq!(Baseline::from_json(&text).unwrap(), baseline);
}

/// Written once, read by every later release; a replica of it joins others of today.
#[test]
fn snapshot_2() {
    let windows = Windows {
        rows: 200,
        seconds: 60.0,
        aligned: true,
        ..Windows::default()
    };
    let baseline = Arc::new(segmented());
    let monitor = Monitor::new(Arc::clone(&baseline), windows, 1000.0).unwrap();
    let mut monitor = monitor.with_segments("carrier").unwrap();
    monitor
        .observe(&table(150, 0).view().unwrap(), 1010.0)
        .unwrap();
    monitor.close(1019.0, Some("July")).unwrap();
    monitor
        .observe(&table(40, 2).view().unwrap(), 1030.5)
        .unwrap();
    let text = golden("snapshot-2.json", &monitor.snapshot(1031.0));
    let read = Snapshot::from_json(&baseline, &text).unwrap();
    assert_eq!(read.to_json(&baseline), text);
    let today = Snapshot::from_json(&baseline, &monitor.snapshot(1031.0)).unwrap();
    let alarms = AlarmOptions::default();
    let mut merged = Snapshot::merge(baseline, windows, alarms, &[read, today]).unwrap();
    let all = merged.report(1031.0);
    let own = merged.report_of("UA", 1031.0).unwrap();
    let rows = |report: &Report| -> u64 { report.windows.iter().map(|w| w.rows).sum() };
    assert_eq!(rows(&all), 2 * 190);
    let carriers: u64 = merged
        .segments()
        .unwrap()
        .names()
        .to_vec()
        .iter()
        .map(|name| rows(&merged.report_of(name, 1031.0).unwrap()))
        .sum();
    assert_eq!(carriers, 2 * 190);
    assert!(rows(&own) > 0 && rows(&own) < rows(&all));
}
