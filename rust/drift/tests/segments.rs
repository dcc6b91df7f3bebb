//! Segments: each is what a monitor of its rows alone would have seen.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_drift::{
    AlarmOptions, Baseline, BaselineBuilder, MAX_HISTORY, MAX_SEGMENTS, Monitor, Segments,
    Snapshot, Windows,
};
use tidegate_schema::{DType, ErrorKind, Field, Schema, TableBuf};

/// A text, a whole number, a number.
type Row = (Option<u8>, Option<i64>, f64);

fn schema(names: [&str; 3]) -> Schema {
    let types = [DType::String, DType::Int64, DType::Float64];
    let fields = names.iter().zip(types);
    Schema::new(
        fields
            .map(|(name, dtype)| Field::nullable(*name, dtype))
            .collect(),
    )
    .unwrap()
}

fn all() -> Schema {
    schema(["airport", "runway", "late"])
}

fn table(rows: &[Row]) -> TableBuf {
    let mut table = TableBuf::new(&all(), rows.len());
    for (airport, runway, late) in rows {
        match airport {
            Some(at) => table.columns[0].push_str(&format!("airport {at}")).unwrap(),
            None => table.columns[0].push_null(),
        }
        match runway {
            Some(at) => table.columns[1].push_i64(*at).unwrap(),
            None => table.columns[1].push_null(),
        }
        table.columns[2].push_f64(*late).unwrap();
    }
    table
}

fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let row = (
        proptest::option::weighted(0.9, 0_u8..24),
        proptest::option::weighted(0.9, 0_i64..4),
        -3.0..3.0_f64,
    );
    proptest::collection::vec(row, 1..most)
}

/// Airport 0 is the most frequent one, then airport 1 and so on.
fn history() -> Vec<Row> {
    (0..24_u8)
        .flat_map(|at| (0..100 - 3 * i64::from(at)).map(move |i| (at, i)))
        .map(|(at, i)| (Some(at), Some(i % 4), i as f64 / 40.0))
        .chain([(None, None, 0.5)])
        .collect()
}

fn plain() -> Baseline {
    let all = all();
    let (inputs, outputs) = all.fields().split_at(2);
    let new = |fields: &[Field]| Schema::new(fields.to_vec()).unwrap();
    let mut builder = BaselineBuilder::new(&new(inputs), &new(outputs)).unwrap();
    builder.update(&table(&history()).view().unwrap()).unwrap();
    builder.finish().unwrap()
}

fn segmented(column: &str) -> Baseline {
    let baseline = plain();
    let segments = Segments::new(&baseline, column).unwrap();
    let mut parts = Vec::new();
    for rows in history().chunks(77) {
        let table = table(rows);
        let view = table.view().unwrap();
        segments.take(&baseline, &view, &mut parts).unwrap();
    }
    baseline.with_segments(segments, parts).unwrap()
}

fn monitor(baseline: &Arc<Baseline>, windows: Windows) -> Monitor {
    Monitor::new(Arc::clone(baseline), windows, 0.0).unwrap()
}

fn value_of(row: &Row, segments: &Segments) -> String {
    let name = match row.0 {
        None => "(missing)".to_owned(),
        Some(at) => format!("airport {at}"),
    };
    if segments.names().contains(&name) {
        name
    } else {
        "(other)".to_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_segment_is_a_monitor_of_its_own(
        rows in rows(300), cut in 1_usize..50, trailing in 0_usize..2,
    ) {
        let baseline = Arc::new(plain());
        let windows = Windows { rows: u64::MAX, seconds: 10.0, trailing, ..Windows::default() };
        // All windows are kept: a monitor alone leaves empty ones out, so that it would forget others.
        let new = || monitor(&baseline, windows).with_history(MAX_HISTORY).unwrap();
        let mut whole = new().with_segments("airport").unwrap();
        let segments = whole.segments().unwrap().clone();
        prop_assert_eq!(segments.names().len(), MAX_SEGMENTS + 2);
        let mut own: Vec<Monitor> =
            segments.names().iter().map(|_| new()).collect();
        for (step, some) in rows.chunks(cut).enumerate() {
            let now = step as f64 * 4.0;
            whole.observe(&table(some).view().unwrap(), now).unwrap();
            for (name, alone) in segments.names().iter().zip(&mut own) {
                let these: Vec<Row> =
                    some.iter().filter(|row| value_of(row, &segments) == *name).copied().collect();
                // Also without rows: its windows end at the same times.
                alone.observe(&table(&these).view().unwrap(), now).unwrap();
            }
        }
        let end = 1e6;
        let mut total = 0;
        for (name, alone) in segments.names().iter().zip(&mut own) {
            let found = whole.report_of(name, end).unwrap();
            prop_assert!(found.alarms.is_none());
            prop_assert_eq!(&found.segment.as_ref().unwrap().value, name);
            // A monitor leaves windows without rows out.
            let found: Vec<_> = found.windows.iter().filter(|window| window.rows > 0).collect();
            let due = alone.report(end).windows;
            total += due.iter().map(|window| window.rows).sum::<u64>();
            prop_assert_eq!(found.len(), due.len());
            for (found, due) in found.iter().zip(&due) {
                prop_assert_eq!((found.rows, found.start, found.closed), (due.rows, due.start, due.closed));
                for (a, b) in found.columns.iter().zip(&due.columns) {
                    prop_assert!(a.cells.iter().map(|c| c.live).eq(b.cells.iter().map(|c| c.live)));
                    if trailing == 0 {
                        prop_assert_eq!((a.psi, a.tv, a.ks), (b.psi, b.tv, b.ks));
                        let means = (a.moments, b.moments);
                        if let (Some(a), Some(b)) = means && let (Some(a), Some(b)) = (a.live.mean, b.live.mean) {
                            prop_assert!((a - b).abs() < 1e-9);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(total, rows.len() as u64);
    }

    #[test]
    fn replicas_that_share_the_rows_are_one(
        rows in rows(200), cut in 1_usize..40, replicas in 1_usize..4,
    ) {
        let baseline = Arc::new(segmented("airport"));
        let windows = Windows { rows: u64::MAX, seconds: 10.0, aligned: true, ..Windows::default() };
        // All windows are kept: each replica would forget the oldest of its own, which may be others.
        let new = || monitor(&baseline, windows).with_history(MAX_HISTORY).unwrap();
        let make = || new().with_segments("airport").unwrap();
        let mut whole = make();
        let mut several: Vec<Monitor> = (0..replicas).map(|_| make()).collect();
        for (step, some) in rows.chunks(cut).enumerate() {
            let (table, now) = (table(some), step as f64 * 3.0);
            whole.observe(&table.view().unwrap(), now).unwrap();
            several[step % replicas].observe(&table.view().unwrap(), now).unwrap();
        }
        let end = rows.len() as f64 * 3.0 + 20.0;
        let read = |monitor: &mut Monitor| {
            Snapshot::from_json(&baseline, &monitor.snapshot(end)).unwrap()
        };
        let snapshots: Vec<Snapshot> = several.iter_mut().map(read).collect();
        let options = AlarmOptions::default();
        let mut merged =
            Snapshot::merge(Arc::clone(&baseline), windows, options, &snapshots).unwrap();
        for name in whole.segments().unwrap().clone().names() {
            let (a, b) = (whole.report_of(name, end).unwrap(), merged.report_of(name, end).unwrap());
            let rows = |report: &tidegate_drift::Report| {
                report
                    .windows
                    .iter()
                    .filter(|window| window.rows > 0)
                    .map(|window| {
                        let psi: Vec<_> = window.columns.iter().map(|column| column.psi).collect();
                        (window.rows, psi)
                    })
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(rows(&a), rows(&b));
        }
    }
}

#[test]
fn a_segment_is_compared_with_its_own_rows_of_the_baseline() {
    let with = Arc::new(segmented("airport"));
    let without = Arc::new(plain());
    let report = |baseline: &Arc<Baseline>| {
        let mut monitor = monitor(baseline, Windows::default())
            .with_segments("airport")
            .unwrap();
        monitor
            .observe(&table(&history()).view().unwrap(), 1.0)
            .unwrap();
        let side_by_side = monitor.report(1.0).segments.unwrap();
        (monitor.report_of("airport 3", 1.0).unwrap(), side_by_side)
    };
    let (own, both) = report(&with);
    assert_eq!(own.baseline.rows, 91);
    assert!(own.segment.unwrap().like_with_like && both.like_with_like);
    assert!(
        own.windows[0]
            .columns
            .iter()
            .all(|column| column.psi == Some(0.0))
    );
    assert_eq!(both.values.len(), MAX_SEGMENTS + 2);
    assert!(
        both.values
            .iter()
            .flat_map(|value| &value.columns)
            .all(|c| c.psi == Some(0.0))
    );
    let (other, both) = report(&without);
    assert!(!other.segment.unwrap().like_with_like && !both.like_with_like);
    // Of all rows of the baseline few are at this airport.
    assert!(other.windows[0].columns[0].psi.unwrap() > 1.0);
    assert_eq!(other.baseline.rows, without.rows());
}

#[test]
fn whole_numbers_and_bools_are_segments_too() {
    let baseline = segmented("runway");
    let names = baseline.segmented().unwrap().segments.names().to_vec();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, ["(missing)", "(other)", "0", "1", "2", "3"]);
    let rows: u64 = baseline
        .segmented()
        .unwrap()
        .parts
        .iter()
        .map(|part| part.rows)
        .sum();
    assert_eq!(rows, baseline.rows());
}

#[test]
fn baselines_with_segments_are_read_again_and_others_stay_of_their_version() {
    let baseline = segmented("airport");
    let text = baseline.to_json();
    assert!(text.contains("\"version\":2"));
    assert_eq!(Baseline::from_json(&text).unwrap(), baseline);
    assert!(plain().to_json().contains("\"version\":1"));
    let edited = text.replacen("\"rows\":91", "\"rows\":92", 1);
    assert_eq!(
        Baseline::from_json(&edited).unwrap_err().kind,
        ErrorKind::State
    );
}

#[test]
fn what_is_no_segment_is_refused_by_name() {
    let baseline = Arc::new(plain());
    let refused = |column| Segments::new(&baseline, column).unwrap_err().message;
    assert!(refused("gate").contains("name one of airport, runway"));
    // A prediction is none.
    assert!(refused("late").contains("not watched"));
    let mut monitor = monitor(&baseline, Windows::default());
    assert!(
        monitor
            .report_of("airport 1", 0.0)
            .unwrap_err()
            .message
            .contains("segment=")
    );
    let mut monitor = monitor.with_segments("airport").unwrap();
    let error = monitor.report_of("airport 99", 0.0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("airport 0"));
}

#[test]
fn a_replica_without_segments_leaves_the_others_without() {
    let baseline = Arc::new(plain());
    let snapshots = [true, false].map(|apart| {
        let mut monitor = monitor(&baseline, Windows::default());
        if apart {
            monitor = monitor.with_segments("airport").unwrap();
        }
        monitor
            .observe(&table(&history()).view().unwrap(), 1.0)
            .unwrap();
        Snapshot::from_json(&baseline, &monitor.snapshot(1.0)).unwrap()
    });
    let options = AlarmOptions::default();
    let mut merged = Snapshot::merge(
        Arc::clone(&baseline),
        Windows::default(),
        options,
        &snapshots,
    )
    .unwrap();
    assert_eq!(merged.rows(), 2 * baseline.rows());
    assert!(merged.report(1.0).segments.is_none());
}
