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
                _ => panic!("not in the golden schema"),
            }
            .unwrap();
        }
    }
    table
}

/// Numbers, times, places, choices and selections.
fn numeric() -> Vec<Expr> {
    let col = Expr::column;
    let read = |value: Value| Expr::from_json(&value.to_string()).unwrap();
    let x = json!({"op": "col", "name": "distance"});
    let n = json!({"op": "col", "name": "seats"});
    let t = json!({"op": "col", "name": "departure"});
    let late = json!({"op": "gt", "left": x, "right": {"op": "literal", "value": 150}});
    let mut features = vec![
        col("distance").apply("max_abs", &[]).alias("max_abs"),
        col("distance").apply("robust_scale", &[]).alias("robust"),
        col("distance")
            .apply("quantile_transform", &[("quantiles", 4.into())])
            .alias("place"),
        col("distance")
            .apply("quantile_transform", &[("distribution", "normal".into())])
            .alias("normal"),
        col("distance").apply("power_transform", &[]).alias("power"),
        col("seats")
            .apply("clip_quantiles", &[("low", 0.1.into()), ("high", 0.9.into())])
            .alias("winsorized"),
        col("distance").apply("log", &[("base", 2.into())]),
        col("distance").apply("sqrt", &[]).apply("round", &[("decimals", 1.into())]),
        col("distance").combine("pow", read(json!({"op": "literal", "value": 2}))),
        col("distance").combine("mod", col("seats")),
        col("distance").combine("floor_div", col("seats")),
        col("distance").combine("safe_divide", col("seats")).alias("safe"),
        read(json!({"op": "when", "inputs": [late, x, {"op": "col", "name": "direct"}, n, {"op": "literal", "value": -1}]})).alias("choice"),
        read(json!({"op": "coalesce", "inputs": [x, n]})).alias("first"),
        read(json!({"op": "row_any", "inputs": [late, {"op": "col", "name": "direct"}]})),
        read(json!({"op": "polynomial", "inputs": [x, n]})).alias("poly"),
        read(json!({"op": "and", "left": late, "right": {"op": "not", "input": {"op": "col", "name": "direct"}}})).alias("and"),
        read(json!({"op": "is_in", "values": ["AA", "DL"], "input": {"op": "col", "name": "carrier"}})),
        read(json!({"op": "dt", "part": "hour", "input": {"op": "in_zone", "database": "2025b", "zone": "America/New_York", "input": t}})),
        read(json!({"op": "since", "unit": "days", "input": t, "from": {"op": "literal", "value": 0, "dtype": "timestamp"}})),
        read(json!({"op": "days_to_holiday", "dates": ["2013-01-02"], "input": t})),
        read(json!({"op": "haversine", "lat": n, "lon": x, "to_lat": {"op": "literal", "value": 40}, "to_lon": {"op": "literal", "value": -73}})),
        read(json!({"op": "one_hot", "input": {"op": "geohash", "precision": 2, "lat": {"op": "mod", "left": n, "right": {"op": "literal", "value": 90}}, "lon": x}})).alias("cell"),
        read(json!({"op": "alias", "name": "{}_null", "input": {"op": "is_null", "input": {"op": "select", "others": true}}})),
        read(json!({"op": "bucketize_tree", "max_depth": 2, "input": x})).alias("tree"),
    ];
    for op in [
        "row_sum",
        "row_mean",
        "row_min",
        "row_max",
        "row_median",
        "row_std",
    ] {
        features.push(read(
            json!({"op": op, "inputs": [x, n, {"op": "literal", "value": 7}]}),
        ));
    }
    features
}

fn specification(features: Vec<Expr>) -> FeatureSpec {
    let spec = FeatureSpec::new(schema(), features).unwrap();
    if spec.is_supervised() {
        spec.with_target("label").unwrap()
    } else {
        spec
    }
}

fn fit(features: &[Expr]) -> (FeatureSpec, Plan) {
    let plan = learn(Arc::new(specification(features.to_vec())));
    (specification(features.to_vec()), plan)
}

fn learn(spec: Arc<FeatureSpec>) -> Plan {
    let mut fitter = Fitter::new(spec).unwrap();
    let input = table(fitter.input_schema());
    loop {
        fitter.update(&input.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
}

#[test]
fn formats_stay_readable() {
    for (family, features) in [("", features()), ("numeric.", numeric())] {
        stays_readable(family, &features);
    }
}

/// Compares what is fitted and computed with the files of a family of expressions.
fn stays_readable(family: &str, features: &[Expr]) {
    let (spec, plan) = fit(features);
    golden(
        &format!("{family}spec.v1.json"),
        &spec.to_json().unwrap(),
        0.0,
    );
    // The most likely exponent is found within 1.5e-8.
    golden(
        &format!("{family}plan.v1.json"),
        plan.to_json(),
        if family.is_empty() { 1e-12 } else { 1e-7 },
    );
    let input = table(plan.input_schema());
    let matrix: Vec<f32> = plan.transform(&input.view().unwrap()).unwrap();
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
    golden(
        &format!("{family}matrix.v1.json"),
        &answer.to_string(),
        1e-6,
    );

    // What was kept gives what was kept, whatever this version would fit.
    let kept = std::fs::read_to_string(file(&format!("{family}plan.v1.json"))).unwrap();
    let kept = Plan::from_json(&kept).unwrap();
    let again: Vec<f32> = kept.transform(&input.view().unwrap()).unwrap();
    for (kept, fitted) in again.iter().zip(&matrix) {
        assert!((kept - fitted).abs() <= 1e-6 * fitted.abs() || kept.is_nan() && fitted.is_nan());
    }
    let spec = std::fs::read_to_string(file(&format!("{family}spec.v1.json"))).unwrap();
    FeatureSpec::from_json(&spec).unwrap();
}

/// Categories, texts and what learns from a target.
fn encodings() -> Vec<Expr> {
    let carrier = || Expr::column("carrier");
    let terms = json!({"analyzer": "char", "ngrams": [1, 2]});
    vec![
        carrier().apply("target_mean", &[]),
        Expr::column("seats").apply("target_mean", &[("smooth", 2.into())]),
        carrier().apply("weight_of_evidence", &[]),
        carrier().apply("count_encode", &[("normalize", true.into())]),
        carrier().apply("base_n", &[]),
        carrier().apply(
            "one_hot",
            &[("drop", "first".into()), ("max_categories", 2.into())],
        ),
        carrier()
            .apply("group_rare", &[("min_count", 2.into())])
            .apply("ordinal", &[]),
        carrier().apply("hash_vector", &[("columns", 4.into())]),
        carrier().apply(
            "str_hash_ngrams",
            &[("columns", 4.into()), ("terms", terms.clone())],
        ),
        carrier().apply("str_tfidf", &[("max_terms", 3.into()), ("terms", terms)]),
        carrier()
            .apply("str_slice", &[("start", 0.into()), ("length", 1.into())])
            .apply("str_matches", &[("pattern", "^[A-D]".into())]),
    ]
}

#[test]
fn formats_of_encodings_stay_readable() {
    let spec = FeatureSpec::new(schema(), encodings()).unwrap();
    let plan = learn(Arc::new(spec.with_target("direct").unwrap()));
    golden("encodings.v1.json", plan.to_json(), 1e-12);
    let kept = std::fs::read_to_string(file("encodings.v1.json")).unwrap();
    let kept = Plan::from_json(&kept).unwrap();
    let input = table(kept.input_schema());
    let matrix: Vec<f64> = kept.transform(&input.view().unwrap()).unwrap();
    let answer = json!({"names": kept.names(), "matrix": matrix});
    golden("encodings_matrix.v1.json", &answer.to_string(), 1e-12);
}

#[test]
fn equal_parts_are_learned_and_described_once() {
    let (_, plan) = fit(&features());
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
