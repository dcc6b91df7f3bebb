//! What every expression does with columns of other types and with states that somebody damaged:
//! it says what is wrong, or it works; it never panics and nothing infinite comes out.

use serde_json::{Value, json};
use tidegate_schema::{DType, ErrorKind, Field, Schema};

use crate::operations::OPERATIONS;
use crate::properties::{Row, examples, fit, fit_schema, spec, table};
use crate::{Expr, FeatureSpec, Plan};

fn rows() -> Vec<Row> {
    (0..40)
        .map(|i| Row {
            x: (i % 7 != 0).then(|| f64::from(i * i) / 8.0 - 20.0),
            n: (i % 5 != 0).then(|| i64::from(i % 9)),
            b: (i % 3 != 0).then_some(i % 2 == 0),
            s: Some(["a", "b", "c d"][i as usize % 3]),
            k: (i % 4 != 0).then(|| ["e", "f"][i as usize % 2]),
            t: Some(1_357_034_400_000_000 + i64::from(i) * 5_400_000_000),
            u: Some(0),
            y: Some(i % 3 == 0),
            d: Some(i64::from(i)),
            e: (i % 3 != 0).then(|| i64::from(i) * 1_000_000),
            l: Some(vec![f64::from(i); i as usize % 3]),
            w: Some(vec![Some("a"); i as usize % 3]),
        })
        .collect()
}

/// Every state in a document, by its path.
fn states(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, part) in map {
                let path = format!("{path}/{key}");
                if key == "state" {
                    found.push(path.clone());
                }
                states(part, &path, found);
            }
        }
        Value::Array(values) => {
            for (place, part) in values.iter().enumerate() {
                states(part, &format!("{path}/{place}"), found);
            }
        }
        _ => {}
    }
}

/// Every value below one, by its path.
fn values(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, part)| values(part, &format!("{path}/{key}"), found)),
        // The first few of a list stand for all of them.
        Value::Array(list) => list
            .iter()
            .take(3)
            .enumerate()
            .for_each(|(place, part)| values(part, &format!("{path}/{place}"), found)),
        _ => {}
    }
}

/// Reads a document: an error that says what is wrong, or a plan that runs.
fn survives(document: &Value, what: &str) {
    match Plan::from_json(&document.to_string()) {
        Err(error) => {
            assert_ne!(error.kind, ErrorKind::Internal, "{what}: {error}");
            assert!(!error.message.is_empty());
        }
        Ok(plan) => {
            let rows = table(&rows(), plan.input_schema());
            let out: Vec<f64> = plan.transform(&rows.view().unwrap()).unwrap();
            assert!(out.iter().all(|value| !value.is_infinite()), "{what}");
        }
    }
}

#[test]
fn damaged_states_are_refused_or_work() {
    for example in examples() {
        let spec = spec(example);
        let train = table(&rows(), &fit_schema(&spec));
        let plan = fit(&spec, &[train.view().unwrap()], false).unwrap();
        let document: Value = serde_json::from_str(plan.to_json()).unwrap();
        let mut paths = Vec::new();
        states(&document, "", &mut paths);
        for path in &paths {
            // Left out, and put where none is due.
            let mut without = document.clone();
            let parent = path.trim_end_matches("/state");
            let expression = without
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap();
            let state = expression.remove("state");
            let error = Plan::from_json(&without.to_string()).err().unwrap();
            assert_eq!(error.kind, ErrorKind::State, "{example}: {error}");
            let mut elsewhere = without.clone();
            elsewhere["features"][0] = json!({"op": "alias", "name": "z", "input": {"op": "is_null", "input": elsewhere["features"][0], "state": state}});
            assert!(
                Plan::from_json(&elsewhere.to_string()).is_err(),
                "{example}"
            );
            // Every part of it as something else.
            let mut parts = Vec::new();
            values(document.pointer(path).unwrap(), path, &mut parts);
            for part in parts {
                for other in [
                    Value::Null,
                    json!(-1),
                    json!(1e308),
                    json!(-1e308),
                    json!(0.5),
                    json!(true),
                    json!("text"),
                    json!([]),
                    json!({}),
                    json!([3, 2, 1]),
                ] {
                    let mut damaged = document.clone();
                    let what = format!("{example}: {part} as {other}");
                    *damaged.pointer_mut(&part).unwrap() = other;
                    survives(&damaged, &what);
                }
            }
        }
        let mut newer = document.clone();
        newer["version"] = 2.into();
        let error = Plan::from_json(&newer.to_string()).err().unwrap();
        assert!(error.message.contains("upgrade tidegate"), "{error}");
        let text = plan.to_json();
        for end in (0..text.len()).step_by(1 + text.len() / 50) {
            let cut = text.get(..end).unwrap_or_default();
            let error = Plan::from_json(cut).err().unwrap();
            assert_eq!(error.kind, ErrorKind::State, "{example}: {error}");
        }
    }
}

#[test]
fn columns_of_other_types_are_refused_by_name_or_work() {
    let names = ["x", "n", "b", "s", "k", "t", "u", "d", "e", "l", "w"];
    for example in examples() {
        for dtype in DType::ALL {
            let fields = names.map(|name| Field::nullable(name, dtype)).to_vec();
            let expression = Expr::from_json(example).unwrap();
            if let Err(error) = FeatureSpec::new(Schema::new(fields).unwrap(), vec![expression]) {
                assert_eq!(error.kind, ErrorKind::InvalidInput, "{example}: {error}");
                assert!(error.message.contains("col("), "{example}: {error}");
            }
        }
    }
}

#[test]
fn inputs_are_asked_for_by_name() {
    for entry in OPERATIONS {
        let bare = Expr::from_value(json!({"op": entry.name}));
        let schema = Schema::new(vec![Field::nullable("x", DType::Float64)]).unwrap();
        let error = FeatureSpec::new(schema, vec![bare]).err().unwrap();
        assert!(error.message.contains(entry.name), "{error}");
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
    }
}
