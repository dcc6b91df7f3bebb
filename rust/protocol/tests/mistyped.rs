//! A value of a wrong type names its column in the error, whichever form it comes in; any other
//! error names none.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_protocol::columns::{from_tensors, signature};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, arrow, infer};
use tidegate_schema::{DType, Error, Field, Schema, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::nullable("n", DType::Int64),
        Field::nullable("s", DType::String),
        Field::nullable("b", DType::Bool),
        Field::nullable("at", DType::Timestamp),
        Field::required("must", DType::Int64),
    ])
    .unwrap()
}

fn named(found: Result<TableBuf, Error>) -> Option<String> {
    found.unwrap_err().mistyped.map(String::from)
}

fn of_rows(body: &Value) -> Option<String> {
    let body = body.to_string();
    let found = rows::decode(
        body.as_bytes(),
        &schema(),
        Extra::Refuse,
        &Limits::default(),
    );
    named(found)
}

/// Tensors of one row, by the path of the server: the body first, then the columns.
fn of_tensors(tensors: &Value) -> Option<String> {
    let body = json!({"inputs": tensors}).to_string();
    let inputs = signature(&schema());
    let found = infer::decode(body.as_bytes(), None, &inputs, &Limits::default())
        .and_then(|request| from_tensors(&request.inputs, &schema()));
    named(found)
}

#[test]
fn rows_name_the_column() {
    for (column, value) in [
        ("x", json!("one")),
        ("x", json!([1])),
        ("n", json!(1.5)),
        ("n", json!({"a": 1})),
        ("s", json!(3)),
        ("b", json!("true")),
        ("at", json!("yesterday")),
        ("at", json!(true)),
    ] {
        let mut row = json!({"must": 1});
        row[column] = value.clone();
        let found = of_rows(&json!({"instances": [row]}));
        assert_eq!(found.as_deref(), Some(column), "{value}");
    }
}

#[test]
fn other_errors_name_none() {
    for body in [
        json!({"instances": [{"must": 1, "y": 2}]}),
        json!({"instances": [{"x": 1.0}]}),
        json!({"instances": [{"must": null}]}),
        json!({"instances": []}),
        json!([1]),
    ] {
        assert_eq!(of_rows(&body), None, "{body}");
    }
    let must = json!({"name": "must", "datatype": "INT64", "shape": [1, 1], "data": [1]});
    for tensors in [
        json!([must, {"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1]}]),
        json!([must, {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1, 2]}]),
        json!([must, {"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [1, 2]}]),
        json!([{"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [1]}]),
    ] {
        assert_eq!(of_tensors(&tensors), None, "{tensors}");
    }
}

#[test]
fn tensors_name_the_column() {
    let must = json!({"name": "must", "datatype": "INT64", "shape": [1, 1], "data": [1]});
    for (column, datatype, data) in [
        ("x", "BYTES", json!(["one"])),
        ("s", "FP64", json!([1.0])),
        ("b", "INT64", json!([1])),
        ("n", "FP64", json!([1.5])),
        // The elements are not of the datatype that the tensor says.
        ("x", "FP64", json!(["one"])),
        ("n", "INT64", json!([[true]])),
        ("at", "BYTES", json!(["yesterday"])),
    ] {
        let tensor = json!({"name": column, "datatype": datatype, "shape": [1, 1], "data": data});
        let found = of_tensors(&json!([must, tensor]));
        assert_eq!(found.as_deref(), Some(column), "{tensor}");
        // Elements may come before what they are.
        let text = format!(
            r#"{{"inputs":[{{"data":{data},"name":"{column}","shape":[1,1],"datatype":"{datatype}"}},{must}]}}"#
        );
        let inputs = signature(&schema());
        let found = infer::decode(text.as_bytes(), None, &inputs, &Limits::default())
            .and_then(|request| from_tensors(&request.inputs, &schema()));
        assert_eq!(named(found).as_deref(), Some(column), "{text}");
    }
}

#[test]
fn arrow_names_the_column() {
    let texts = Arc::new(StringArray::from(vec!["one"])) as ArrayRef;
    let numbers = Arc::new(Float64Array::from(vec![1.5])) as ArrayRef;
    for (column, array) in [("x", &texts), ("s", &numbers), ("n", &numbers)] {
        let must = Arc::new(Float64Array::from(vec![1.0])) as ArrayRef;
        let pairs = [("must", must), (column, Arc::clone(array))];
        let batch = RecordBatch::try_from_iter(pairs).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let body = writer.into_inner().unwrap();
        let found = arrow::decode(&body, &schema(), Extra::Refuse, &Limits::default());
        assert_eq!(named(found).as_deref(), Some(column));
    }
}

proptest! {
    /// Wherever among many rows the one wrong value stands.
    #[test]
    fn the_row_does_not_matter(rows in 1..200_usize, place in 0.0..1.0_f64) {
        let wrong = (place * rows as f64) as usize;
        let row = |at| json!({"must": at, "x": if at == wrong { json!("one") } else { json!(1.5) }});
        let instances: Vec<Value> = (0..rows).map(row).collect();
        let found = of_rows(&json!({"instances": instances}));
        prop_assert_eq!(found.as_deref(), Some("x"));
    }
}
