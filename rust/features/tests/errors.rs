//! Bad input: each error names the column and the expression, and says how to mend it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_schema::{ColumnBuf, DType, ErrorKind, Field, Schema, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("distance", DType::Float64),
        Field::required("seats", DType::Float64),
        Field::required("stops", DType::Int64),
        Field::nullable("carrier", DType::String),
        Field::nullable("departure", DType::Timestamp),
    ])
    .unwrap()
}

fn refused(features: &[&str]) -> String {
    let features = features
        .iter()
        .map(|text| Expr::from_json(text).unwrap())
        .collect();
    match FeatureSpec::new(schema(), features) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.message,
    }
}

#[test]
fn specifications_are_checked() {
    let cases = [
        (
            r#"{"op":"col","name":"distanse"}"#,
            "did you mean \"distance\"?",
        ),
        (
            r#"{"op":"log2p","input":{"op":"col","name":"seats"}}"#,
            "unknown expression \"log2p\"",
        ),
        (
            r#"{"op":"col","name":"carrier"}"#,
            "one_hot, ordinal or hash",
        ),
        (r#"{"op":"col","name":"departure"}"#, ".dt.hour()"),
        (
            r#"{"op":"log1p","input":{"op":"col","name":"carrier"}}"#,
            "col(\"carrier\").log1p(): takes a number but gets a string: encode",
        ),
        (
            r#"{"op":"dt","part":"hour","input":{"op":"col","name":"seats"}}"#,
            "takes a timestamp but gets a number",
        ),
        (
            r#"{"op":"dt","part":"hours","input":{"op":"col","name":"departure"}}"#,
            "unknown variant `hours`",
        ),
        (
            r#"{"op":"log1p","input":{"op":"one_hot","input":{"op":"col","name":"carrier"}}}"#,
            "several columns can only be the end",
        ),
        (
            r#"{"op":"clip","low":3,"high":2,"input":{"op":"col","name":"seats"}}"#,
            "low 3 is above high 2",
        ),
        (
            r#"{"op":"clip","lower":3,"input":{"op":"col","name":"seats"}}"#,
            "unknown field `lower`",
        ),
        (
            r#"{"op":"fill_null","value":"x","input":{"op":"col","name":"seats"}}"#,
            "fills a number with a string",
        ),
        (
            r#"{"op":"eq","left":{"op":"col","name":"seats"},"right":{"op":"literal","value":"x"}}"#,
            "compare numbers with numbers",
        ),
        (
            r#"{"op":"hash","buckets":0,"input":{"op":"col","name":"carrier"}}"#,
            "0 buckets",
        ),
        (
            r#"{"op":"bucketize","edges":[2,1],"input":{"op":"col","name":"seats"}}"#,
            "rising",
        ),
        (
            r#"{"op":"add","left":{"op":"col","name":"seats"}}"#,
            "right is left out",
        ),
        (r#"{"op":"col"}"#, "name is left out"),
        (r#"[1]"#, "is no expression"),
    ];
    for (feature, part) in cases {
        let message = refused(&[feature]);
        assert!(message.contains(part), "{feature}: {message}");
    }
    assert!(refused(&[]).contains("at least one"));
    let seats = r#"{"op":"col","name":"seats"}"#;
    assert!(refused(&[seats, seats]).contains(".alias("));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let mut expression = Expr::column("seats");
    for _ in 0..101 {
        expression = expression.apply("negate", &[]);
    }
    assert!(FeatureSpec::new(schema(), vec![expression]).is_err());
}

fn plan(features: &[&str]) -> Plan {
    let features: Vec<Expr> = features
        .iter()
        .map(|text| Expr::from_json(text).unwrap())
        .collect();
    let spec = Arc::new(FeatureSpec::new(schema(), features).unwrap());
    match Fitter::new(spec).unwrap().finish().unwrap() {
        Step::Done(plan) => plan,
        Step::Again(_) => panic!("learns"),
    }
}

fn one(column: ColumnBuf) -> TableBuf {
    TableBuf {
        columns: vec![column],
    }
}

#[test]
fn tables_are_checked() {
    let distance = plan(&[r#"{"op":"col","name":"distance"}"#]);
    let seats = plan(&[r#"{"op":"col","name":"seats"}"#]);
    let stops = plan(&[r#"{"op":"col","name":"stops"}"#]);
    let mut null = ColumnBuf::new(DType::Int64, 1);
    null.push_i64(1).unwrap();
    null.push_null();
    let cases = [
        (
            &distance,
            one(ColumnBuf::from_f64(vec![1.0, f64::INFINITY])),
            "\"distance\" is infinite in row 1",
        ),
        (
            &distance,
            one(ColumnBuf::new(DType::Int64, 0)),
            "\"distance\" is int64 where the schema says float64",
        ),
        (
            &seats,
            one(ColumnBuf::from_f64(vec![f64::NAN])),
            "\"seats\" is missing in row 0",
        ),
        (&stops, one(null), "\"stops\" is missing in row 1"),
        (
            &stops,
            TableBuf { columns: vec![] },
            "the features use 1: stops",
        ),
    ];
    for (plan, table, part) in cases {
        let error = plan.transform::<f32>(&table.view().unwrap()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{}", error.message);
    }
    let null = one(ColumnBuf::from_f64(vec![f64::NAN, f64::MAX]));
    let out = distance.transform::<f32>(&null.view().unwrap()).unwrap();
    assert!(out.iter().all(|value| value.is_nan()), "{out:?}");
}

#[test]
fn states_are_checked() {
    let wrong = [
        ("", "not a fitted feature set"),
        ("{}", "version"),
        (r#"{"version":2}"#, "upgrade tidegate"),
        (
            r#"{"features":[{"op":"standardize","input":{"op":"col","name":"x"}}],"rows":1,"schema":{"fields":[{"dtype":"float64","name":"x","nullable":true}],"version":1},"version":1}"#,
            "the state is left out",
        ),
        (
            r#"{"features":[{"op":"standardize","state":{"mean":1,"std":-1},"input":{"op":"col","name":"x"}}],"rows":1,"schema":{"fields":[{"dtype":"float64","name":"x","nullable":true}],"version":1},"version":1}"#,
            "do not fit",
        ),
        (
            r#"{"features":[{"op":"bucketize","buckets":3,"state":{"edges":[2,1]},"input":{"op":"col","name":"x"}}],"rows":1,"schema":{"fields":[{"dtype":"float64","name":"x","nullable":true}],"version":1},"version":1}"#,
            "do not rise",
        ),
        (
            r#"{"features":[{"op":"one_hot","state":{"categories":["a"]},"input":{"op":"col","name":"x"}}],"rows":1,"schema":{"fields":[{"dtype":"float64","name":"x","nullable":true}],"version":1},"version":1}"#,
            "is not a number",
        ),
        (
            r#"{"features":[{"op":"col","name":"x"}],"schema":{"fields":[{"dtype":"float64","name":"x","nullable":true}],"version":1},"version":1}"#,
            "not fitted",
        ),
    ];
    for (text, part) in wrong {
        match Plan::from_json(text) {
            Ok(_) => panic!("accepted {text}"),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::State, "{error}");
                assert!(error.message.contains(part), "{text}: {error}");
            }
        }
    }
}
