//! What is seen through windows: late rows, sliding and decayed views, trailing references, alarms,
//! and the windows of several replicas.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_drift::{
    AlarmOptions, Baseline, BaselineBuilder, MAX_PENDING, Monitor, Report, Snapshot, Windows,
};
use tidegate_schema::{DType, Field, Schema, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::nullable("colour", DType::String),
        Field::nullable("constant", DType::Int64),
        Field::nullable("empty", DType::Float64),
        Field::nullable("at", DType::Timestamp),
    ])
    .unwrap()
}

/// Rows whose `x` goes through [0, 1), moved, and whose colour is one of four.
fn rows(count: usize, first: usize, moved: f64) -> TableBuf {
    let mut table = TableBuf::new(&schema(), count);
    for row in first..first + count {
        let columns = &mut table.columns;
        columns[0]
            .push_f64((row * 7_919 % 1_000) as f64 / 1_000.0 + moved)
            .unwrap();
        let colour = ["red", "green", "blue", "grey"][row * 31 % 4];
        columns[1].push_str(colour).unwrap();
        columns[2].push_i64(7).unwrap();
        columns[3].push_null();
        columns[4].push_timestamp(row as i64 * 1_000_000).unwrap();
    }
    table
}

fn baseline() -> Arc<Baseline> {
    let none = Schema::new(Vec::new()).unwrap();
    let mut builder = BaselineBuilder::new(&schema(), &none).unwrap();
    builder
        .update(&rows(20_000, 0, 0.0).view().unwrap())
        .unwrap();
    Arc::new(builder.finish().unwrap())
}

fn monitor(windows: Windows) -> Monitor {
    Monitor::new(baseline(), windows, 0.0).unwrap()
}

fn observe(monitor: &mut Monitor, count: usize, moved: f64, now: f64) {
    let first = (now.clamp(0.0, 1e6) * 13.0) as usize;
    let table = rows(count, first, moved);
    monitor.observe(&table.view().unwrap(), now).unwrap();
}

fn spans(report: &Report) -> Vec<(f64, f64, u64, bool)> {
    let windows = report.windows.iter();
    windows
        .map(|window| (window.start, window.end, window.rows, window.closed))
        .collect()
}

const TEN: Windows = Windows {
    rows: u64::MAX,
    seconds: 10.0,
    aligned: false,
    lateness: 0.0,
    sliding: 1,
    half_life: f64::INFINITY,
    trailing: 0,
};

#[test]
fn windows_wait_for_late_rows() {
    let mut monitor = monitor(Windows {
        lateness: 5.0,
        ..TEN
    });
    observe(&mut monitor, 3, 0.0, 1.0);
    observe(&mut monitor, 4, 0.0, 11.0);
    // Of the first window, which is over but waits.
    observe(&mut monitor, 2, 0.0, 9.0);
    let report = monitor.report(12.0);
    assert_eq!(
        spans(&report),
        [(0.0, 10.0, 5, false), (10.0, 11.0, 4, false)]
    );
    // It waits until 15; what comes then is late, and counted where it can be.
    observe(&mut monitor, 1, 0.0, 15.0);
    observe(&mut monitor, 1, 0.0, 9.0);
    let report = monitor.report(15.0);
    assert_eq!(
        spans(&report),
        [(0.0, 10.0, 5, true), (10.0, 15.0, 6, false)]
    );
    assert_eq!((report.late_rows, monitor.rows()), (1, 11));
    // Closing waits for nothing.
    assert!(monitor.close(16.0, Some("now")).unwrap());
    assert!(monitor.closed().all(|window| window.rows > 0));
    assert_eq!(monitor.closed().len(), 2);
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let mut monitor = monitor(TEN);
    for now in [25.0, 24.0, -1e9, f64::NAN, f64::INFINITY, 26.0] {
        observe(&mut monitor, 10, 0.0, now);
    }
    let report = monitor.report(3.0);
    assert_eq!(report.windows.iter().map(|w| w.rows).sum::<u64>(), 60);
}

#[test]
fn waiting_windows_are_bounded() {
    let windows = Windows {
        rows: 1,
        lateness: 10.0 * MAX_PENDING as f64,
        ..TEN
    };
    let mut monitor = monitor(windows);
    observe(&mut monitor, 3 * MAX_PENDING, 0.0, 1.0);
    assert_eq!(monitor.closed().len(), 48);
    let report = monitor.report(1.0);
    assert_eq!(report.windows.len(), 48 + MAX_PENDING);
}

#[test]
fn aligned_windows_stand_on_multiples() {
    let mut monitor = Monitor::new(
        baseline(),
        Windows {
            aligned: true,
            ..TEN
        },
        37.0,
    )
    .unwrap();
    for now in [38.0, 44.0, 61.0, 69.9] {
        observe(&mut monitor, 5, 0.0, now);
    }
    let found = spans(&monitor.report(70.0));
    assert_eq!(
        found,
        [
            (37.0, 40.0, 5, true),
            (40.0, 50.0, 5, true),
            (60.0, 70.0, 10, true)
        ]
    );
}

#[test]
fn the_sliding_window_holds_the_last_closed_ones() {
    let mut monitor = monitor(Windows { sliding: 3, ..TEN });
    assert_eq!(monitor.report(0.0).sliding, None);
    for step in 0..6_u32 {
        let now = 10.0 * f64::from(step) + 1.0;
        observe(&mut monitor, 100 + step as usize, 0.0, now);
        let sliding = monitor.report(now).sliding;
        let from = step.saturating_sub(3);
        let due: u64 = (from..step).map(|step| 100 + u64::from(step)).sum();
        assert_eq!(sliding.map_or(0, |window| window.rows), due);
    }
}

#[test]
fn the_decayed_view_forgets_by_half() {
    let mut monitor = monitor(Windows {
        half_life: 10.0,
        ..TEN
    });
    assert_eq!(monitor.report(0.0).decayed, None);
    for now in [1.0, 11.0, 21.0] {
        observe(&mut monitor, 1_000, 0.0, now);
    }
    let decayed = monitor.report(30.0).decayed.unwrap();
    assert_eq!(decayed.rows, 250 + 500 + 1_000);
    let live: u64 = decayed.columns[0].cells.iter().map(|cell| cell.live).sum();
    assert!(live.abs_diff(1_750) <= 12, "{live}");
    assert!(decayed.columns[0].psi.unwrap() < 0.02);
}

#[test]
fn trailing_windows_are_a_reference() {
    let mut monitor = monitor(Windows { trailing: 2, ..TEN });
    for step in 0..12_u32 {
        // Far from the baseline all the time, and farther from step 8 on.
        let moved = if step < 8 { 0.4 } else { 0.6 };
        observe(&mut monitor, 5_000, moved, 10.0 * f64::from(step) + 1.0);
    }
    let report = monitor.report(120.0);
    let psi: Vec<Option<f64>> = report.windows.iter().map(|w| w.columns[0].psi).collect();
    assert_eq!(&psi[..2], &[None, None]);
    assert!(psi[2..8].iter().all(|psi| psi.unwrap() < 0.01), "{psi:?}");
    assert!(psi[8].unwrap() > 0.2);
    // Two windows later the reference has moved as well.
    assert!(psi[10].unwrap() < 0.01);
    let alarms = report.alarms.unwrap();
    assert_eq!(alarms.looks, 10);
    let raised: Vec<&str> = alarms
        .columns
        .iter()
        .filter(|c| c.alarm)
        .map(|c| &*c.name)
        .collect();
    assert_eq!(raised, ["x"]);
    assert!(alarms.columns[0].from.unwrap() >= 60.0);
}

#[test]
fn an_alarm_says_what_how_far_and_since_when() {
    let mut monitor = monitor(TEN);
    for step in 0..20_u32 {
        observe(&mut monitor, 2_000, 0.0, 10.0 * f64::from(step) + 1.0);
        let alarms = monitor.report(10.0 * f64::from(step) + 2.0).alarms.unwrap();
        assert_eq!((alarms.raised, alarms.looks), (0, u64::from(step)));
    }
    for step in 20..30_u32 {
        observe(&mut monitor, 2_000, 0.25, 10.0 * f64::from(step) + 1.0);
    }
    let report = monitor.report(300.0);
    let alarms = report.alarms.unwrap();
    // Time itself raises no alarm, nor do the constant and the empty column.
    let names: Vec<&str> = alarms.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["x", "colour", "constant", "empty"]);
    let (x, others) = alarms.columns.split_first().unwrap();
    assert!(
        others
            .iter()
            .all(|column| !column.alarm && column.rows_to_go.is_none())
    );
    assert!(
        x.alarm && x.since.unwrap() <= 230.0 && x.since.unwrap() > 200.0,
        "{x:?}"
    );
    assert!(x.e_value > 400.0 && x.log_e >= x.due);
    // A quarter of the rows has moved.
    assert!(x.interval.lower > 0.1 && x.interval.lower < 0.25 && x.interval.upper > 0.25);
    assert!((190.0..=220.0).contains(&x.from.unwrap()), "{:?}", x.from);
    assert_eq!(x.rows_to_go, Some(0));
    assert_eq!(x.cells.iter().map(|cell| cell.live).sum::<u64>(), x.rows);
    assert_eq!(
        x.cells.iter().map(|cell| cell.baseline).sum::<u64>(),
        20_000
    );
    // It ends when the rows are as before, after a while.
    for step in 30..400_u32 {
        observe(&mut monitor, 2_000, 0.0, 10.0 * f64::from(step) + 1.0);
    }
    assert_eq!(monitor.report(4_000.0).alarms.unwrap().raised, 0);
}

#[test]
fn a_column_that_vanishes_or_a_constant_that_moves_raises_an_alarm() {
    let mut monitor = monitor(TEN);
    for step in 0..5_u32 {
        let mut table = TableBuf::new(&schema(), 2_000);
        for _ in 0..2_000 {
            table.columns[0].push_null();
            table.columns[1].push_str("mauve").unwrap();
            table.columns[2].push_i64(8).unwrap();
            table.columns[3].push_f64(1.0).unwrap();
            table.columns[4].push_null();
        }
        let now = 10.0 * f64::from(step) + 1.0;
        monitor.observe(&table.view().unwrap(), now).unwrap();
    }
    let alarms = monitor.report(100.0).alarms.unwrap();
    assert!(
        alarms.columns.iter().all(|column| column.alarm),
        "{alarms:?}"
    );
    assert!(
        alarms
            .columns
            .iter()
            .all(|column| column.interval.lower > 0.9)
    );
}

#[test]
fn impossible_options_are_refused() {
    for windows in [
        Windows { rows: 0, ..TEN },
        Windows {
            seconds: 0.0,
            ..TEN
        },
        Windows {
            seconds: f64::NAN,
            ..TEN
        },
        Windows {
            seconds: f64::INFINITY,
            aligned: true,
            ..TEN
        },
        Windows {
            lateness: -1.0,
            ..TEN
        },
        Windows {
            lateness: f64::INFINITY,
            ..TEN
        },
        Windows {
            lateness: 10_000.0,
            ..TEN
        },
        Windows { sliding: 0, ..TEN },
        Windows {
            sliding: 1_001,
            ..TEN
        },
        Windows {
            half_life: 0.0,
            ..TEN
        },
        Windows {
            trailing: 1_001,
            ..TEN
        },
    ] {
        assert!(
            Monitor::new(baseline(), windows, 0.0).is_err(),
            "{windows:?}"
        );
    }
    let options = |alpha, tolerance, ignore: &[&str]| AlarmOptions {
        alpha,
        tolerance,
        ignore: ignore.iter().map(|name| (*name).to_owned()).collect(),
    };
    for wrong in [
        options(0.0, 0.1, &[]),
        options(1.0, 0.1, &[]),
        options(f64::NAN, 0.1, &[]),
        options(0.05, 0.0, &[]),
        options(0.05, 1.0, &[]),
        options(0.05, 0.1, &["nowhere"]),
    ] {
        assert!(monitor(TEN).with_alarms(wrong).is_err());
    }
    let mut quiet = monitor(TEN)
        .with_alarms(options(0.05, 0.1, &["x"]))
        .unwrap();
    observe(&mut quiet, 5_000, 0.9, 1.0);
    assert_eq!(quiet.report(20.0).alarms.unwrap().raised, 0);
}

fn merged(windows: Windows, texts: &[String]) -> Report {
    let baseline = baseline();
    let snapshots: Vec<Snapshot> = texts
        .iter()
        .map(|text| Snapshot::from_json(&baseline, text).unwrap())
        .collect();
    let merged = Snapshot::merge(baseline, windows, AlarmOptions::default(), &snapshots);
    merged.unwrap().report(0.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However requests are spread over replicas, the report is that of one.
    #[test]
    fn replicas_report_as_one(
        requests in prop::collection::vec((0usize..3, 1usize..400, 0.0..3.0f64, 0u8..6), 1..60),
        sliding in 1usize..4,
    ) {
        let windows = Windows { aligned: true, sliding, half_life: 30.0, ..TEN };
        let mut one = monitor(windows);
        let mut replicas = [monitor(windows), monitor(windows), monitor(windows)];
        let mut now = 0.0;
        for (replica, count, wait, moved) in requests {
            now += wait;
            let moved = f64::from(moved) / 10.0;
            observe(&mut one, count, moved, now);
            observe(&mut replicas[replica], count, moved, now);
        }
        let texts: Vec<String> = replicas.iter_mut().map(|replica| replica.snapshot(now)).collect();
        let (alone, together) = (one.report(now), merged(windows, &texts));
        prop_assert_eq!(alone.windows.len(), together.windows.len());
        for (x, y) in alone.windows.iter().zip(&together.windows) {
            prop_assert_eq!((x.rows, x.closed), (y.rows, y.closed));
            for (x, y) in x.columns.iter().zip(&y.columns) {
                prop_assert_eq!(&x.cells, &y.cells);
                prop_assert_eq!((x.psi, x.js), (y.psi, y.js));
                if let (Some(x), Some(y)) = (&x.moments, &y.moments) {
                    let means = x.live.mean.unwrap_or(0.0) - y.live.mean.unwrap_or(0.0);
                    prop_assert!(means.abs() < 1e-6 * x.live.mean.unwrap_or(1.0).abs().max(1.0));
                }
            }
        }
        let key = |report: &Report| -> Vec<(bool, f64, u64)> {
            let columns = &report.alarms.as_ref().unwrap().columns;
            columns.iter().map(|column| (column.alarm, column.log_e, column.rows)).collect()
        };
        prop_assert_eq!(key(&alone), key(&together));
        let rows = |window: &Option<tidegate_drift::WindowReport>| window.as_ref().map(|w| w.rows);
        prop_assert_eq!(rows(&alone.sliding), rows(&together.sliding));
        prop_assert_eq!(rows(&alone.decayed), rows(&together.decayed));
    }
}

#[test]
fn snapshots_that_cannot_be_are_refused() {
    let mut monitor = monitor(TEN);
    observe(&mut monitor, 100, 0.0, 1.0);
    observe(&mut monitor, 50, 0.0, 12.0);
    let (baseline, text) = (baseline(), monitor.snapshot(12.0));
    assert!(Snapshot::from_json(&baseline, &text).is_ok());
    for (from, to, says) in [
        (r#""version":1"#, r#""version":3"#, "newer"),
        (r#""rows":100"#, r#""rows":101"#, "damaged"),
        (r#""start":0.0"#, r#""start":11.0"#, "damaged"),
        (r#""baseline":""#, r#""baseline":"0"#, "another baseline"),
        (r#""late":0"#, r#""early":0"#, "not a snapshot"),
        ("{", "", "not a snapshot"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = Snapshot::from_json(&baseline, &broken).unwrap_err();
        assert!(error.message.contains(says), "{}", error.message);
    }
    for end in [0, 1, 10, text.len() / 2, text.len() - 1] {
        assert!(Snapshot::from_json(&baseline, &text[..end]).is_err());
    }
    // No snapshots at all: an empty report.
    assert!(merged(TEN, &[]).windows.is_empty());
}

#[test]
fn what_an_ended_replica_left_open_is_over() {
    let mut ended = monitor(Windows {
        aligned: true,
        ..TEN
    });
    observe(&mut ended, 100, 0.0, 3.0);
    let mut alive = monitor(Windows {
        aligned: true,
        ..TEN
    });
    observe(&mut alive, 10, 0.0, 4.0);
    observe(&mut alive, 20, 0.0, 25.0);
    let texts = [ended.snapshot(3.0), alive.snapshot(25.0)];
    let found = spans(&merged(
        Windows {
            aligned: true,
            ..TEN
        },
        &texts,
    ));
    assert_eq!(
        found
            .iter()
            .map(|span| (span.2, span.3))
            .collect::<Vec<_>>(),
        [(110, true), (20, false)]
    );
}

/// Replicas of several releases share a store: what was written once is read by every later one.
#[test]
fn snapshots_of_version_1() {
    let mut monitor = monitor(TEN);
    observe(&mut monitor, 100, 0.0, 1.0);
    monitor.close(5.0, Some("July")).unwrap();
    observe(&mut monitor, 30, 0.2, 7.0);
    let found = monitor.snapshot(7.0);
    let path = format!(
        "{}/../../tests/golden/drift/snapshot-1.json",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, found);
    let report = merged(TEN, &[text]);
    assert_eq!(spans(&report).iter().map(|span| span.2).sum::<u64>(), 130);
}
