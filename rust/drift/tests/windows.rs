//! Windows: where they close, that they add up, and that order does not matter.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_drift::{Baseline, BaselineBuilder, LABEL_LIMIT, Monitor, Window, Windows};
use tidegate_schema::{DType, Field, Schema, TableBuf};

type Row = (
    Option<f64>,
    Option<i64>,
    Option<&'static str>,
    Option<bool>,
    f64,
);

fn inputs() -> Schema {
    Schema::new(vec![
        Field::nullable("distance", DType::Float64),
        Field::nullable("departure", DType::Timestamp),
        Field::nullable("carrier", DType::String),
        Field::nullable("holiday", DType::Bool),
    ])
    .unwrap()
}

fn outputs() -> Schema {
    Schema::new(vec![Field::required("late", DType::Float64)]).unwrap()
}

fn table(rows: &[Row]) -> TableBuf {
    let fields = [inputs().fields().to_vec(), outputs().fields().to_vec()].concat();
    let mut table = TableBuf::new(&Schema::new(fields).unwrap(), rows.len());
    for (distance, departure, carrier, holiday, late) in rows {
        let columns = &mut table.columns;
        match distance {
            Some(value) => columns[0].push_f64(*value).unwrap(),
            None => columns[0].push_null(),
        }
        match departure {
            Some(value) => columns[1].push_timestamp(*value).unwrap(),
            None => columns[1].push_null(),
        }
        match carrier {
            Some(value) => columns[2].push_str(value).unwrap(),
            None => columns[2].push_null(),
        }
        match holiday {
            Some(value) => columns[3].push_bool(*value).unwrap(),
            None => columns[3].push_null(),
        }
        columns[4].push_f64(*late).unwrap();
    }
    table
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::of(prop_oneof![
            -50.0..300.0f64,
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(7.0)
        ]),
        prop::option::of(0..1_000_000_000_000i64),
        prop::option::of(prop::sample::select(vec!["UA", "AA", "B6", "", "Zürich"])),
        prop::option::of(any::<bool>()),
        0.0..1.0f64,
    )
}

fn builder(rows: &[Row]) -> BaselineBuilder {
    let mut builder = BaselineBuilder::new(&inputs(), &outputs()).unwrap();
    builder.update(&table(rows).view().unwrap()).unwrap();
    builder
}

fn sample() -> Vec<Row> {
    (0..500)
        .map(|i| {
            let carrier = ["UA", "AA", "B6"][i % 3];
            let distance = (i % 9 > 0).then_some((i * 37 % 211) as f64);
            (
                distance,
                Some(i as i64 * 60_000_000),
                Some(carrier),
                Some(i % 10 == 0),
                i as f64 / 500.0,
            )
        })
        .collect()
}

fn baseline() -> Arc<Baseline> {
    Arc::new(builder(&sample()).finish().unwrap())
}

fn monitor(rows: u64, seconds: f64) -> Monitor {
    Monitor::new(
        baseline(),
        Windows {
            rows,
            seconds,
            ..Windows::default()
        },
        100.0,
    )
    .unwrap()
}

/// The counts of all columns, without moments, whose last bits depend on order.
fn counts(window: &Window) -> Vec<Vec<u64>> {
    window
        .columns
        .iter()
        .map(|column| column.counts.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_baseline_in_pieces_equals_the_whole(rows in prop::collection::vec(row(), 1..200), cut in 0.0..1.0f64) {
        let cut = (rows.len() as f64 * cut) as usize;
        let whole = builder(&rows).finish().unwrap();
        let (left, right) = (builder(&rows[..cut]), builder(&rows[cut..]));
        for (a, b) in [(&left, &right), (&right, &left)] {
            let mut merged = a.clone();
            merged.merge(b).unwrap();
            let merged = merged.finish().unwrap();
            for (x, y) in merged.columns().iter().zip(whole.columns()) {
                prop_assert_eq!(x.reference.counts(), y.reference.counts());
            }
        }
        let again = Baseline::from_json(&whole.to_json()).unwrap();
        prop_assert_eq!(again.to_json(), whole.to_json());
        prop_assert_eq!(&again, &whole);
    }

    #[test]
    fn windows_add_up_however_rows_arrive(
        rows in prop::collection::vec(row(), 0..300),
        pieces in prop::collection::vec(1..40usize, 1..20),
        size in 1..90u64,
    ) {
        let all = table(&rows);
        let all = all.view().unwrap();
        let mut whole = monitor(u64::MAX, f64::INFINITY);
        whole.observe(&all, 100.0).unwrap();

        let mut split = monitor(size, f64::INFINITY);
        let mut pieces = pieces.into_iter().cycle();
        let mut done = 0;
        while done < rows.len() {
            let take = pieces.next().unwrap().min(rows.len() - done);
            split.observe(&all.slice(done, take), 100.0).unwrap();
            done += take;
        }
        prop_assert_eq!(split.rows(), rows.len() as u64);
        let closed: Vec<&Window> = split.closed().collect();
        prop_assert!(closed.iter().all(|window| window.rows == size));
        prop_assert!(split.open().rows < size);
        if (rows.len() as u64) < size * 48 {
            prop_assert_eq!(closed.len() as u64, rows.len() as u64 / size);
            // Forwards and backwards: order does not matter.
            let mut forward = Window::new(split.baseline(), 100.0);
            let mut backward = forward.clone();
            let parts: Vec<&Window> = closed.into_iter().chain([split.open()]).collect();
            parts.iter().for_each(|part| forward.merge(part).unwrap());
            parts.iter().rev().for_each(|part| backward.merge(part).unwrap());
            prop_assert_eq!(counts(&forward), counts(whole.open()));
            prop_assert_eq!(counts(&backward), counts(whole.open()));
            prop_assert_eq!(forward.rows, rows.len() as u64);
        }
    }

    #[test]
    fn every_row_is_in_one_cell_of_each_column(rows in prop::collection::vec(row(), 1..100)) {
        let mut monitor = monitor(u64::MAX, f64::INFINITY);
        monitor.observe(&table(&rows).view().unwrap(), 100.0).unwrap();
        let report = monitor.report(101.0);
        for column in &report.windows[0].columns {
            prop_assert_eq!(column.cells.iter().map(|cell| cell.live).sum::<u64>(), rows.len() as u64);
            prop_assert_eq!(column.cells.iter().map(|cell| cell.baseline).sum::<u64>(), 500);
        }
        let text = report.to_json();
        prop_assert!(!text.contains("NaN"));
    }
}

#[test]
fn a_window_closes_with_exactly_its_rows() {
    let rows = sample();
    let table = table(&rows);
    let table = table.view().unwrap();
    let mut monitor = monitor(200, f64::INFINITY);
    monitor.observe(&table, 101.0).unwrap();
    assert_eq!(
        monitor.closed().map(|w| w.rows).collect::<Vec<_>>(),
        [200, 200]
    );
    assert_eq!(monitor.open().rows, 100);
    // A table that fills it to the row closes it, without waiting for the next row.
    monitor.observe(&table.slice(0, 100), 102.0).unwrap();
    assert_eq!((monitor.closed().len(), monitor.open().rows), (3, 0));
    assert_eq!(monitor.report(103.0).windows.len(), 3);
    assert_eq!(monitor.latest(103.0).unwrap().end, 102.0);
}

#[test]
fn time_closes_windows_on_a_grid_and_skips_empty_spans() {
    let table = table(&sample()[..3]);
    let table = table.view().unwrap();
    let mut monitor = monitor(u64::MAX, 10.0);
    monitor.observe(&table, 103.0).unwrap();
    monitor.observe(&table, 109.999).unwrap();
    assert_eq!(monitor.closed().len(), 0);
    // The bound itself belongs to the next window.
    monitor.observe(&table, 110.0).unwrap();
    let spans: Vec<_> = monitor.closed().map(|w| (w.start, w.end, w.rows)).collect();
    assert_eq!(spans, [(100.0, 110.0, 6)]);
    // Two spans without rows leave no window; reading closes what is due.
    let report = monitor.report(145.0);
    let spans: Vec<_> = report
        .windows
        .iter()
        .map(|w| (w.start, w.end, w.closed))
        .collect();
    assert_eq!(spans, [(100.0, 110.0, true), (110.0, 120.0, true)]);
    assert_eq!(monitor.open().start, 140.0);
    // A clock that steps back stands still.
    monitor.observe(&table, 20.0).unwrap();
    monitor.observe(&table, f64::NAN).unwrap();
    assert_eq!((monitor.open().rows, monitor.open().end), (6, 145.0));
}

#[test]
fn closing_labels_the_open_window_if_it_has_rows() {
    let table = table(&sample()[..3]);
    let mut monitor = monitor(u64::MAX, f64::INFINITY);
    assert!(!monitor.close(101.0, Some("empty")).unwrap());
    monitor.observe(&table.view().unwrap(), 102.0).unwrap();
    assert!(monitor.close(103.0, Some("2013-07")).unwrap());
    let window = monitor.latest(104.0).unwrap();
    assert_eq!(window.label.as_deref(), Some("2013-07"));
    assert_eq!(
        (window.start, window.end, window.rows, window.closed),
        (101.0, 103.0, 3, true)
    );
    let long = "x".repeat(LABEL_LIMIT + 1);
    assert!(monitor.close(105.0, Some(&long)).is_err());
}

#[test]
fn history_is_bounded() {
    let table = table(&sample()[..10]);
    let mut monitor = monitor(1, f64::INFINITY).with_history(3).unwrap();
    monitor.observe(&table.view().unwrap(), 101.0).unwrap();
    assert_eq!((monitor.closed().len(), monitor.rows()), (3, 10));
    assert!(monitor.clone().with_history(0).is_err());
}

#[test]
fn bad_windows_and_tables_are_refused() {
    for (rows, seconds) in [(0, 1.0), (1, 0.0), (1, -1.0), (1, f64::NAN)] {
        assert!(
            Monitor::new(
                baseline(),
                Windows {
                    rows,
                    seconds,
                    ..Windows::default()
                },
                0.0
            )
            .is_err()
        );
    }
    let mut monitor = monitor(10, 10.0);
    let mut narrow = table(&sample()[..3]);
    let last = narrow.columns.pop().unwrap();
    let error = monitor.observe(&narrow.view().unwrap(), 101.0).unwrap_err();
    assert!(
        error.message.contains("4 columns where 5 are watched"),
        "{error}"
    );
    narrow.columns.insert(0, last);
    let error = monitor.observe(&narrow.view().unwrap(), 101.0).unwrap_err();
    assert!(
        error.message.contains("\"departure\" is float64"),
        "{error}"
    );
    assert_eq!(monitor.rows(), 0);
    assert!(
        BaselineBuilder::new(&inputs(), &outputs())
            .unwrap()
            .finish()
            .is_err()
    );
    assert!(builder(&sample()).with_bins(1).is_err());
}

#[test]
fn edited_baselines_are_refused() {
    let good = baseline().to_json();
    assert!(Baseline::from_json(&good).is_ok());
    for (from, to, says) in [
        ("\"rows\":500", "\"rows\":501", "do not add up"),
        ("\"dtype\":\"bool\"", "\"dtype\":\"int64\"", "another kind"),
        ("\"name\":\"departure\"", "\"name\":\"distance\"", "twice"),
        (
            "\"rows\":500,\"version\":1",
            "\"rows\":500,\"version\":3,\"more\":1",
            "upgrade tidegate",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Baseline::from_json(&good.replace(from, to)).unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
    assert!(Baseline::from_json(&good[..good.len() / 2]).is_err());
}
