//! Arrow IPC bodies: every layout of strings, missing values, refusals, and bytes that lie.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray,
    TimestampNanosecondArray,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use proptest::prelude::*;
use tidegate_protocol::rows::Extra;
use tidegate_protocol::{Limits, arrow};
use tidegate_schema::{Column, DType, ErrorKind, Field, Schema, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::nullable("n", DType::Int64),
        Field::nullable("s", DType::String),
        Field::nullable("at", DType::Timestamp),
        Field::required("must", DType::Int64),
    ])
    .unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn batch(texts: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("s", texts),
        (
            "must",
            Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef,
        ),
        (
            "x",
            Arc::new(Float32Array::from(vec![Some(0.5), None, Some(f32::NAN)])),
        ),
        (
            "n",
            Arc::new(Int64Array::from(vec![None, Some(7), Some(8)])),
        ),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_500, 3_000])),
        ),
    ])
    .unwrap()
}

fn layouts() -> Vec<ArrayRef> {
    let texts = vec![Some("a"), None, Some("a longer text than a view holds")];
    vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(StringViewArray::from(texts.clone())),
        Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ]
}

fn decode(body: &[u8]) -> tidegate_schema::Result<TableBuf> {
    arrow::decode(body, &schema(), Extra::Refuse, &Limits::default())
}

#[test]
fn every_layout_of_strings_and_several_batches() {
    for texts in layouts() {
        let body = stream(&[batch(Arc::clone(&texts)), batch(texts).slice(0, 2)]);
        let table = decode(&body).unwrap();
        assert_eq!(table.rows(), 5);
        let view = table.view().unwrap();
        view.check(&schema()).unwrap();
        let Column::String(s) = view.columns()[2] else {
            panic!("not strings");
        };
        assert_eq!((s.get(0), s.get(1), s.get(3)), (Some("a"), None, Some("a")));
        let missing = |column: usize| -> Vec<bool> {
            (0..5)
                .map(|row| view.columns()[column].is_missing(row))
                .collect()
        };
        assert_eq!(missing(0), [false, true, true, false, true]);
        assert_eq!(missing(1), [true, false, false, true, false]);
        let Column::Timestamp(at) = view.columns()[3] else {
            panic!("not times");
        };
        assert_eq!((at.get(0), at.get(1)), (Some(1), Some(2)));
    }
}

#[test]
fn refusals_name_the_column() {
    let must = || Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef;
    let fine = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    let text = || Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
    for (columns, part) in [
        (vec![("must", must())], "\"must\" is missing in row 1"),
        (vec![("s", text())], "\"must\" is missing"),
        (vec![("must", fine()), ("y", fine())], "\"y\""),
        (vec![("must", text())], "\"must\""),
    ] {
        let body = stream(&[RecordBatch::try_from_iter(columns).unwrap()]);
        let error = decode(&body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{error}");
    }
    let extra = RecordBatch::try_from_iter([("must", fine()), ("y", fine())]).unwrap();
    let limits = Limits::default();
    let table = arrow::decode(&stream(&[extra]), &schema(), Extra::Ignore, &limits).unwrap();
    assert_eq!(table.rows(), 2);
    for body in [&b""[..], b"{\"instances\":[]}", b"ARROW1\0\0"] {
        let error = decode(body).unwrap_err();
        assert!(error.message.contains("Arrow"), "{error}");
    }
}

#[test]
fn rows_without_bytes_are_counted() {
    let nulls = RecordBatch::try_from_iter([("x", Arc::new(NullArray::new(1 << 40)) as ArrayRef)]);
    let error = decode(&stream(&[nulls.unwrap()])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
}

#[test]
fn answers_are_streams_with_metadata() {
    let schema = Schema::new(vec![Field::nullable("p[0]", DType::Float64)]).unwrap();
    let mut table = TableBuf::new(&schema, 2);
    table.columns[0].push_f64(0.25).unwrap();
    table.columns[0].push_null();
    let body = arrow::encode(&table, &schema, &[("prediction_id", "p-1".to_owned())]).unwrap();
    let mut reader = StreamReader::try_new(&body[..], None).unwrap();
    assert_eq!(reader.schema().metadata()["prediction_id"], "p-1");
    let batch = reader.next().unwrap().unwrap();
    let values = batch
        .column(0)
        .as_any()
        .downcast_ref::<Float64Array>()
        .unwrap();
    assert_eq!((values.value(0), values.is_null(1)), (0.25, true));
}

proptest! {
    /// Bytes of a good stream that were changed or cut: refused or read, never worse.
    #[test]
    fn no_bytes_panic(
        layout in 0usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut body = stream(&[batch(Arc::clone(&layouts()[layout]))]);
        for (place, byte) in changes {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if cut {
            body.truncate(end.index(body.len()));
        }
        match decode(&body) {
            Ok(table) => prop_assert!(table.view().unwrap().check(&schema()).is_ok()),
            Err(error) => prop_assert!(error.message.len() < 2_000),
        }
    }
}
