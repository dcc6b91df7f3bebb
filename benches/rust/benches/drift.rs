//! Nanoseconds a value of watching: what `observe` adds to each prediction.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_benches::drift::{Kind, monitor};
use tidegate_drift::Windows;

fn main() {
    divan::main();
}

fn observe(bencher: Bencher, kind: Kind, rows: usize) {
    let table = kind.table(rows);
    let windows = Windows {
        rows: u64::MAX,
        ..Windows::default()
    };
    let (Ok(mut monitor), Ok(view)) = (monitor(kind, windows), table.view()) else {
        return;
    };
    bencher
        .counter(ItemsCount::new(rows * table.columns.len()))
        .bench_local(|| monitor.observe(black_box(&view), 1.0));
}

const KINDS: [Kind; 6] = [
    Kind::Float,
    Kind::NullableFloat,
    Kind::NullableInt,
    Kind::String,
    Kind::Bool,
    Kind::Flights,
];

#[divan::bench(args = KINDS)]
fn one_row(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 1);
}

#[divan::bench(args = KINDS)]
fn batch_of_32(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 32);
}

#[divan::bench(args = KINDS)]
fn table_of_10_000(bencher: Bencher, kind: Kind) {
    observe(bencher, kind, 10_000);
}

#[divan::bench]
fn report_of_48_windows(bencher: Bencher) {
    let kind = Kind::Flights;
    let build = || {
        let windows = Windows {
            rows: 400,
            ..Windows::default()
        };
        let (mut monitor, table) = (monitor(kind, windows)?, kind.table(20_000));
        monitor.observe(&table.view()?, 1.0)?;
        Ok::<_, tidegate_schema::Error>(monitor)
    };
    if let Ok(mut monitor) = build() {
        bencher.bench_local(|| monitor.report(2.0).to_json().len());
    }
}
