//! Dates, time spans and lists on the wire: what row JSON and tensors say of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use tidegate_protocol::Limits;
use tidegate_protocol::columns::from_tensors;
use tidegate_protocol::rows::{self, Extra};
use tidegate_schema::{
    Column, DType, ErrorKind, Field, Result, Schema, TableBuf, Tensor, TensorData,
};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("d", DType::Date),
        Field::nullable("e", DType::Duration),
        Field::nullable("l", DType::NumberList),
        Field::nullable("w", DType::TextList),
    ])
    .unwrap()
}

fn decode(body: &str) -> Result<TableBuf> {
    rows::decode(
        body.as_bytes(),
        &schema(),
        Extra::Refuse,
        &Limits::default(),
    )
}

#[test]
fn rows_hold_dates_time_spans_and_lists() {
    let table = decode(
        r#"{"instances":[
            {"d":"2013-07-01","e":1500000,"l":[1,2.5,null],"w":["a",null,"\u00e9"]},
            {"d":-1,"e":"-PT0.000001S","l":[],"w":[]},
            {"d":null,"l":null}
        ]}"#,
    )
    .unwrap();
    let view = table.view().unwrap();
    let [
        Column::Date(days),
        Column::Duration(spans),
        Column::NumberList(numbers),
        Column::TextList(texts),
    ] = view.columns()
    else {
        panic!()
    };
    let all = |c: &tidegate_schema::Primitive<'_, i64>| [c.get(0), c.get(1), c.get(2)];
    assert_eq!(all(days), [Some(15_887), Some(-1), None]);
    assert_eq!(all(spans), [Some(1_500_000), Some(-1), None]);
    let first = numbers.get(0).unwrap();
    assert_eq!(first[..2], [1.0, 2.5]);
    assert!(first[2].is_nan());
    assert_eq!((numbers.get(1), numbers.get(2)), (Some(&[][..]), None));
    let first: Vec<_> = texts.get(0).unwrap().collect();
    assert_eq!(first, [Some("a"), None, Some("é")]);
    assert!(texts.get(2).is_none());
}

#[test]
fn rows_of_other_types_are_refused_by_name() {
    for (row, part) in [
        (
            r#"{"d":"2013-02-29"}"#,
            "column \"d\" in row 0: \"2013-02-29\" is not a date",
        ),
        (r#"{"d":"2013-07-01T00:00:00Z"}"#, "is not a date"),
        (r#"{"d":1.5}"#, "whole days since 1970"),
        (
            r#"{"d":9000000000000}"#,
            "column \"d\" in row 0: a date 9000000000000 days from 1970",
        ),
        (
            r#"{"e":"90s"}"#,
            "column \"e\" in row 0: \"90s\" is not an ISO 8601 duration",
        ),
        (r#"{"e":1.5}"#, "whole microseconds"),
        (r#"{"l":1}"#, "an array of numbers"),
        (r#"{"l":["1"]}"#, "an array with other items in row 0"),
        (r#"{"l":[true]}"#, "an array of numbers"),
        (r#"{"l":[[1]]}"#, "an array of numbers"),
        (r#"{"w":[1]}"#, "an array of texts"),
        (r#"{"w":{"a":"b"}}"#, "an array of texts"),
    ] {
        let error = decode(&format!(r#"{{"instances":[{row}]}}"#)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{row}: {error}");
        assert!(error.message.contains(part), "{row}: {error}");
    }
}

fn tensor(name: &str, data: TensorData) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape: vec![1, 1],
        data,
    }
}

#[test]
fn tensors_hold_dates_and_time_spans_but_no_lists() {
    let table = from_tensors(
        &[
            tensor("d", TensorData::Int64(vec![3])),
            tensor("e", TensorData::Int64(vec![7])),
        ],
        &schema(),
    )
    .unwrap();
    let view = table.view().unwrap();
    let [Column::Date(days), Column::Duration(spans), lists @ ..] = view.columns() else {
        panic!()
    };
    assert_eq!((days.get(0), spans.get(0)), (Some(3), Some(7)));
    assert!(lists.iter().all(|column| column.is_missing(0)));
    let text = TensorData::Bytes(vec![b"1970-01-04".to_vec()]);
    let table = from_tensors(&[tensor("d", text)], &schema()).unwrap();
    assert!(matches!(&table.view().unwrap().columns()[0], Column::Date(d) if d.get(0) == Some(3)));
    let text = TensorData::Bytes(vec![b"P1DT1H".to_vec()]);
    let table = from_tensors(&[tensor("e", text)], &schema()).unwrap();
    let Column::Duration(spans) = table.view().unwrap().columns()[1] else {
        panic!()
    };
    assert_eq!(spans.get(0), Some(90_000_000_000));
    let list = tensor("l", TensorData::Fp64(vec![1.0]));
    let error = from_tensors(&[list], &schema()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(
        error.message.contains("\"l\"") && error.message.contains("send rows of JSON"),
        "{error}"
    );
}
