//! Each expression by itself over a year of flights out of New York, and over one row: what a
//! kernel costs beside the loading of its columns.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_schema::{DType, Field, Schema, TableBuf};

/// Flights of 2013.
const FLIGHTS: usize = 336_776;
/// Microseconds at the beginning of 2013, and in a minute.
const YEAR: i64 = 1_356_998_400_000_000;
const MINUTE: i64 = 60_000_000;

/// Over x and y (numbers with holes), c (a condition) and t (a time).
const EXPRESSIONS: &[(&str, &str)] = &[
    ("standardize", r#"{"op":"standardize","input":X}"#),
    ("robust_scale", r#"{"op":"robust_scale","input":X}"#),
    ("clip_quantiles", r#"{"op":"clip_quantiles","input":X}"#),
    (
        "quantile_transform",
        r#"{"op":"quantile_transform","input":X}"#,
    ),
    (
        "quantile_normal",
        r#"{"op":"quantile_transform","distribution":"normal","input":X}"#,
    ),
    ("power_transform", r#"{"op":"power_transform","input":X}"#),
    ("log1p", r#"{"op":"log1p","input":X}"#),
    ("round", r#"{"op":"round","decimals":1,"input":X}"#),
    (
        "pow",
        r#"{"op":"pow","left":X,"right":{"op":"literal","value":2}}"#,
    ),
    ("mod", r#"{"op":"mod","left":X,"right":Y}"#),
    (
        "bucketize_10",
        r#"{"op":"bucketize","buckets":10,"input":X}"#,
    ),
    ("and", r#"{"op":"and","left":C,"right":C2}"#),
    ("is_in_3", r#"{"op":"is_in","values":[1,5,100],"input":X}"#),
    ("when", r#"{"op":"when","inputs":[C,X,C2,Y]}"#),
    ("coalesce", r#"{"op":"coalesce","inputs":[X,Y]}"#),
    ("row_mean_4", r#"{"op":"row_mean","inputs":[X,Y,X2,Y2]}"#),
    (
        "row_median_4",
        r#"{"op":"row_median","inputs":[X,Y,X2,Y2]}"#,
    ),
    ("polynomial_3", r#"{"op":"polynomial","inputs":[X,Y,X2]}"#),
    ("dt_month", r#"{"op":"dt","part":"month","input":T}"#),
    ("dt_hour", r#"{"op":"dt","part":"hour","input":T}"#),
    (
        "dt_hour_in_zone",
        r#"{"op":"dt","part":"hour","input":{"op":"in_zone","zone":"America/New_York","input":T}}"#,
    ),
    (
        "is_holiday",
        r#"{"op":"is_holiday","dates":["2013-01-01","2013-07-04","2013-12-25"],"input":T}"#,
    ),
    (
        "haversine",
        r#"{"op":"haversine","lat":X,"lon":Y,"to_lat":{"op":"literal","value":40.7},"to_lon":{"op":"literal","value":-73.9}}"#,
    ),
    (
        "geohash_7",
        r#"{"op":"geohash","precision":7,"number":true,"lat":X,"lon":Y}"#,
    ),
];

fn main() {
    divan::main();
}

fn expression(name: &str) -> Expr {
    let (_, text) = EXPRESSIONS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let column = |name: &str| format!(r#"{{"op":"col","name":"{name}"}}"#);
    let text = text
        .replace("X2", r#"{"op":"mul","left":X,"right":Y}"#)
        .replace("Y2", r#"{"op":"sub","left":Y,"right":X}"#)
        .replace("C2", r#"{"op":"gt","left":X,"right":Y}"#);
    let text = ["X", "Y", "C", "T"].iter().fold(text, |text, mark| {
        text.replace(&format!(":{mark}"), &format!(":{}", column(mark)))
            .replace(&format!("[{mark}"), &format!("[{}", column(mark)))
            .replace(&format!(",{mark}"), &format!(",{}", column(mark)))
    });
    Expr::from_json(&text).unwrap()
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("X", DType::Float64),
        Field::nullable("Y", DType::Float64),
        Field::nullable("C", DType::Bool),
        Field::nullable("T", DType::Timestamp),
    ])
    .unwrap()
}

/// Rows in order of time, with holes in the numbers.
fn table(used: &Schema, rows: usize) -> TableBuf {
    let mut table = TableBuf::new(used, rows);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for row in 0..rows {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (column, field) in table.columns.iter_mut().zip(used.fields()) {
            match field.name.as_str() {
                "T" => column.push_timestamp(YEAR + row as i64 * MINUTE * 3 / 2),
                "C" => column.push_bool(state & 1 == 1),
                _ if state.is_multiple_of(16) => column.push_f64(f64::NAN),
                "X" => column.push_f64((state >> 8 & 0xffff) as f64 / 800.0),
                _ => column.push_f64((state >> 24 & 0xffff) as f64 / 400.0 - 80.0),
            }
            .unwrap();
        }
    }
    table
}

fn fit(name: &str, rows: usize) -> Plan {
    let spec = Arc::new(FeatureSpec::new(schema(), vec![expression(name)]).unwrap());
    let input = table(spec.input_schema(), rows);
    let mut fitter = Fitter::new(spec).unwrap();
    loop {
        fitter.update(&input.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
}

#[divan::bench(args = EXPRESSIONS.iter().map(|(name, _)| *name), sample_count = 5, sample_size = 1)]
fn all_flights(bencher: Bencher, name: &str) {
    let plan = fit(name, 10_000);
    let input = table(plan.input_schema(), FLIGHTS);
    let view = input.view().unwrap();
    let mut out = vec![0.0f32; FLIGHTS * plan.width()];
    bencher
        .counter(ItemsCount::new(FLIGHTS))
        .bench_local(|| plan.transform_into(&view, &mut out).unwrap());
}

#[divan::bench(args = EXPRESSIONS.iter().map(|(name, _)| *name), sample_count = 20, sample_size = 500)]
fn one_row(bencher: Bencher, name: &str) {
    let plan = fit(name, 10_000);
    let input = table(plan.input_schema(), 1);
    let view = input.view().unwrap();
    let mut out = vec![0.0f32; plan.width()];
    bencher.bench_local(|| plan.transform_into(&view, &mut out).unwrap());
}
