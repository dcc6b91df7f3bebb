//! Features of 16 columns, 10 numbers filled and standardised and 6 texts one-hot encoded, into 75.

#![allow(clippy::unwrap_used)] // What does not fit leaves nothing to measure.

use std::sync::Arc;

use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_schema::{Column, DType, Field, Schema, Table, TableBuf};

/// How many categories each text column has; with an unknown bucket each, 65 columns.
const CATEGORIES: [usize; 6] = [15, 3, 24, 9, 4, 4];
const NUMBERS: usize = 10;

fn schema() -> Schema {
    let numbers = (0..NUMBERS).map(|i| Field::nullable(format!("number_{i}"), DType::Float64));
    let texts = (0..6).map(|i| Field::nullable(format!("text_{i}"), DType::String));
    Schema::new(numbers.chain(texts).collect()).unwrap()
}

/// The expressions.
#[must_use]
pub fn spec() -> Arc<FeatureSpec> {
    let numbers = (0..NUMBERS).map(|i| {
        Expr::column(&format!("number_{i}"))
            .apply("fill_null", &[("strategy", "median".into())])
            .apply("standardize", &[])
    });
    let texts = (0..6).map(|i| Expr::column(&format!("text_{i}")).apply("one_hot", &[]));
    Arc::new(FeatureSpec::new(schema(), numbers.chain(texts).collect()).unwrap())
}

/// Rows in a fixed but irregular order; one number in 16 is missing.
#[must_use]
pub fn table(rows: usize) -> TableBuf {
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

/// Fits them.
#[must_use]
pub fn fit(table: &TableBuf) -> Plan {
    let mut fitter = Fitter::new(spec()).unwrap();
    loop {
        fitter.update(&table.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
}

/// One row as a table of its own, as a decoder makes it.
#[must_use]
pub fn copy(table: &Table<'_>, row: usize) -> TableBuf {
    let mut single = TableBuf::new(&schema(), 1);
    for (to, from) in single.columns.iter_mut().zip(table.columns()) {
        match from {
            Column::Float64(values) => to.push_f64(values.values[row]).unwrap(),
            Column::String(texts) => {
                to.push_str(texts.get(row).unwrap_or_default()).unwrap();
            }
            _ => {}
        }
    }
    single
}
