//! Features of 16 columns, 10 numbers filled and standardised and 6 texts one-hot encoded, into 75:
//! one row, one morsel, and a table as large as a year of flights out of New York.

#![allow(clippy::panic, clippy::unwrap_used)]

use divan::Bencher;
use divan::counter::ItemsCount;
use tidegate_benches::features::{copy, fit, table};
use tidegate_schema::TableBuf;

/// Flights of 2013.
const FLIGHTS: usize = 336_776;
fn main() {
    divan::main();
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn one_row(bencher: Bencher) {
    let plan = fit(&table(10_000));
    assert_eq!(plan.width(), 75);
    let rows: Vec<TableBuf> = {
        let all = table(1000);
        let all = all.view().unwrap();
        (0..1000).map(|row| copy(&all, row)).collect()
    };
    let mut out = vec![0.0; plan.width()];
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 1) % rows.len();
        let view = rows[at].view().unwrap();
        plan.transform_into(&view, &mut out).unwrap();
        divan::black_box(&mut out);
    });
}

#[divan::bench(args = [32, 1024])]
fn rows(bencher: Bencher, rows: usize) {
    let input = table(rows.max(5_000));
    let plan = fit(&input);
    let view = input.view().unwrap().slice(0, rows);
    let mut out = vec![0.0; rows * plan.width()];
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| plan.transform_into(&view, &mut out).unwrap());
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn all_flights_into_known_memory(bencher: Bencher) {
    let input = table(FLIGHTS);
    let plan = fit(&input);
    let view = input.view().unwrap();
    let mut out = vec![0.0; FLIGHTS * plan.width()];
    bencher
        .counter(ItemsCount::new(FLIGHTS))
        .bench_local(|| plan.transform_into(&view, &mut out).unwrap());
}

#[divan::bench(sample_count = 15, sample_size = 1)]
fn all_flights_into_new_memory(bencher: Bencher) {
    let input = table(FLIGHTS);
    let plan = fit(&input);
    let view = input.view().unwrap();
    bencher
        .counter(ItemsCount::new(FLIGHTS))
        .bench_local(|| plan.transform::<f32>(&view).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fit_all_flights(bencher: Bencher) {
    let input = table(FLIGHTS);
    bencher
        .counter(ItemsCount::new(FLIGHTS))
        .bench_local(|| fit(&input));
}
