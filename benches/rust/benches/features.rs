//! Features of 16 columns, 10 numbers filled and standardised and 6 texts one-hot encoded, into 75:
//! one row, one morsel, and a table as large as a year of flights out of New York.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_schema::{DType, Field, Schema, TableBuf};

/// Flights of 2013.
const FLIGHTS: usize = 336_776;
/// How many categories each text column has; with an unknown bucket each, 65 columns.
const CATEGORIES: [usize; 6] = [15, 3, 24, 9, 4, 4];
const NUMBERS: usize = 10;

fn main() {
    divan::main();
}

fn schema() -> Schema {
    let numbers = (0..NUMBERS).map(|i| Field::nullable(format!("number_{i}"), DType::Float64));
    let texts = (0..6).map(|i| Field::nullable(format!("text_{i}"), DType::String));
    Schema::new(numbers.chain(texts).collect()).unwrap()
}

fn spec() -> Arc<FeatureSpec> {
    let numbers = (0..NUMBERS).map(|i| {
        Expr::column(&format!("number_{i}"))
            .apply("fill_null", &[("strategy", "median".into())])
            .apply("standardize", &[])
    });
    let texts = (0..6).map(|i| Expr::column(&format!("text_{i}")).apply("one_hot", &[]));
    Arc::new(FeatureSpec::new(schema(), numbers.chain(texts).collect()).unwrap())
}

/// Rows in a fixed but irregular order; one number in 16 is missing.
fn table(rows: usize) -> TableBuf {
    let mut table = TableBuf::new(&schema(), rows);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for _ in 0..rows {
        for column in table.columns.iter_mut().take(NUMBERS) {
            let value = if next(16) == 0 {
                f64::NAN
            } else {
                next(1000) as f64
            };
            column.push_f64(value).unwrap();
        }
        for (column, categories) in table.columns.iter_mut().skip(NUMBERS).zip(CATEGORIES) {
            column.push_str(&format!("C{}", next(categories))).unwrap();
        }
    }
    table
}

fn fit(table: &TableBuf) -> Plan {
    let mut fitter = Fitter::new(spec()).unwrap();
    loop {
        fitter.update(&table.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
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

/// One row as a table of its own, as a decoder makes it.
fn copy(table: &tidegate_schema::Table<'_>, row: usize) -> TableBuf {
    let mut single = TableBuf::new(&schema(), 1);
    for (to, from) in single.columns.iter_mut().zip(table.columns()) {
        match from {
            tidegate_schema::Column::Float64(values) => to.push_f64(values.values[row]).unwrap(),
            tidegate_schema::Column::String(texts) => {
                to.push_str(texts.get(row).unwrap_or_default()).unwrap();
            }
            _ => {}
        }
    }
    single
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
        .bench_local(|| plan.transform(&view).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fit_all_flights(bencher: Bencher) {
    let input = table(FLIGHTS);
    bencher
        .counter(ItemsCount::new(FLIGHTS))
        .bench_local(|| fit(&input));
}
