//! Files of the formats that every later version must read. `TIDEGATE_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_schema::{DType, Field, Schema, TableBuf};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/features")
        .join(name)
}

/// Compares JSON with a file: numbers within `tolerance`, since the last bit of a logarithm is the
/// C library's, all else exactly.
fn golden(name: &str, text: &str, tolerance: f64) {
    let path = file(name);
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let (left, right): (Value, Value) = (
        serde_json::from_str(&kept).unwrap(),
        serde_json::from_str(text).unwrap(),
    );
    assert!(
        near(&left, &right, tolerance),
        "{name} has changed: readers of old files would break\n{kept}\n{text}"
    );
}

fn near(left: &Value, right: &Value, tolerance: f64) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= tolerance * left.abs().max(1.0)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| near(a, b, tolerance))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, a)| right.get(key).is_some_and(|b| near(a, b, tolerance)))
        }
        (left, right) => left == right,
    }
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("distance", DType::Float64),
        Field::nullable("seats", DType::Int64),
        Field::required("carrier", DType::String),
        Field::nullable("origin", DType::String),
        Field::nullable("direct", DType::Bool),
        Field::nullable("departure", DType::Timestamp),
        Field::nullable("label", DType::Float64),
    ])
    .unwrap()
}

fn features() -> Vec<Expr> {
    let col = Expr::column;
    let literal =
        |value: Value| Expr::from_json(&json!({"op": "literal", "value": value}).to_string());
    vec![
        col("distance")
            .apply("log1p", &[])
            .apply("standardize", &[]),
        col("distance")
            .apply("min_max", &[])
            .alias("distance_min_max"),
        col("distance").apply("is_null", &[]),
        col("distance")
            .apply("clip", &[("low", 0.into()), ("high", 500.into())])
            .alias("near"),
        col("distance").apply("bucketize", &[("buckets", 3.into())]),
        col("distance")
            .apply(
                "bucketize",
                &[("buckets", 2.into()), ("method", "uniform".into())],
            )
            .alias("half"),
        col("distance")
            .apply("bucketize", &[("edges", json!([150, 250]))])
            .alias("third"),
        col("seats")
            .apply("fill_null", &[("strategy", "median".into())])
            .apply("standardize", &[]),
        col("seats")
            .apply("fill_null", &[("strategy", "mean".into())])
            .alias("seats_mean"),
        col("seats")
            .apply("fill_null", &[("value", 0.into())])
            .alias("seats_zero"),
        col("seats")
            .apply("fill_null", &[("strategy", "most_frequent".into())])
            .apply("ordinal", &[]),
        col("distance")
            .combine("div", col("seats"))
            .alias("stretch"),
        col("distance")
            .combine("add", literal(1.into()).unwrap())
            .combine("mul", literal(2.into()).unwrap()),
        col("distance")
            .combine("sub", col("seats"))
            .apply("negate", &[])
            .alias("less"),
        col("carrier").apply("one_hot", &[("min_count", 2.into())]),
        col("direct").apply("one_hot", &[("unknown", false.into())]),
        col("carrier")
            .combine("eq", literal("UA".into()).unwrap())
            .alias("is_ua"),
        col("carrier").apply("ordinal", &[]),
        col("origin")
            .combine("cross", col("carrier"))
            .apply("hash", &[("buckets", 16.into())]),
        col("departure")
            .apply("dt", &[("part", "hour".into())])
            .apply("cyclical", &[("period", 24.into())]),
        col("departure").apply("dt", &[("part", "day_of_year".into())]),
        col("distance").combine("ge", col("seats")).alias("far"),
    ]
}

fn table(schema: &Schema) -> TableBuf {
    let mut table = TableBuf::new(schema, 6);
    let text = |row: usize| ["UA", "AA", "UA", "DL", "AA", "UA"][row];
    for row in 0..6 {
        for (column, field) in table.columns.iter_mut().zip(schema.fields()) {
            let missing = match field.name.as_str() {
                "distance" => row == 2,
                "seats" | "origin" => row == 4,
                "direct" => row == 5,
                "departure" => row == 0,
                _ => false,
            };
            if missing {
                column.push_null();
                continue;
            }
            match field.dtype {
                DType::Float64 => column.push_f64(100.0 * row as f64 + 0.5),
                DType::Int64 => column.push_i64([150, 180, 150, 9, 0, 300][row]),
                DType::String if field.name == "origin" => {
                    column.push_str(["EWR", "LGA", "JFK"][row % 3])
                }
                DType::String => column.push_str(text(row)),
                DType::Bool => column.push_bool(row % 2 == 0),
                DType::Timestamp => {
                    column.push_timestamp(1_357_034_400_000_000 + row as i64 * 5_400_000_000)
                }
            }
            .unwrap();
        }
    }
    table
}

fn fit() -> (FeatureSpec, Plan) {
    let spec = FeatureSpec::new(schema(), features()).unwrap();
    let shared = Arc::new(FeatureSpec::new(schema(), features()).unwrap());
    let input = table(shared.input_schema());
    let mut fitter = Fitter::new(shared).unwrap();
    loop {
        fitter.update(&input.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return (spec, plan),
        }
    }
}

#[test]
fn formats_stay_readable() {
    let (spec, plan) = fit();
    golden("spec.v1.json", &spec.to_json().unwrap(), 0.0);
    golden("plan.v1.json", plan.to_json(), 1e-12);
    let input = table(plan.input_schema());
    let matrix = plan.transform::<f32>(&input.view().unwrap()).unwrap();
    let rows: Vec<Value> = matrix
        .chunks_exact(plan.width())
        .map(|row| {
            row.iter()
                .map(|&value| {
                    if value.is_nan() {
                        Value::Null
                    } else {
                        value.into()
                    }
                })
                .collect()
        })
        .collect();
    let answer = json!({"names": plan.names(), "matrix": rows});
    golden("matrix.v1.json", &answer.to_string(), 1e-6);

    // What was kept gives what was kept, whatever this version would fit.
    let kept = Plan::from_json(&std::fs::read_to_string(file("plan.v1.json")).unwrap()).unwrap();
    let again = kept.transform::<f32>(&input.view().unwrap()).unwrap();
    for (kept, fitted) in again.iter().zip(&matrix) {
        assert!((kept - fitted).abs() <= 1e-6 * fitted.abs() || kept.is_nan() && fitted.is_nan());
    }
    let spec = std::fs::read_to_string(file("spec.v1.json")).unwrap();
    FeatureSpec::from_json(&spec).unwrap();
}

#[test]
fn equal_parts_are_learned_and_described_once() {
    let (_, plan) = fit();
    assert!(
        plan.input_schema().position("label").is_none(),
        "unused columns are left out"
    );
    let text = plan.describe();
    assert!(
        text.contains(
            r#"col("carrier").one_hot(min_count=2) -> carrier=AA … carrier=(unknown) (3 columns)"#
        ),
        "{text}"
    );
}
