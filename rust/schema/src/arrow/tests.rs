//! Arrays of every type and layout, in and out.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, FixedSizeListBuilder, Int32Builder, ListBuilder, StringBuilder,
};
use arrow_array::types::{Date64Type, DurationNanosecondType, DurationSecondType, Int32Type};
use arrow_array::{
    BinaryArray, Date32Array, DictionaryArray, Float32Array, Int32Array, TimestampNanosecondArray,
    UInt64Array,
};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn texts(array: ArrayRef) -> Vec<Option<String>> {
    let batch = batch(vec![("s", array)]);
    let schema = Schema::new(vec![Field::nullable("s", DType::String)]).unwrap();
    Bound::new(&batch, &schema)
        .unwrap()
        .lend(|table| {
            let Column::String(s) = table.columns()[0] else {
                panic!()
            };
            Ok((0..s.len()).map(|i| s.get(i).map(str::to_owned)).collect())
        })
        .unwrap()
}

#[test]
fn every_string_layout_reads_the_same_also_sliced() {
    let values = vec![
        Some("a"),
        None,
        Some("a text of more than twelve bytes: é"),
        Some(""),
    ];
    let expected: Vec<_> = values.iter().map(|v| v.map(str::to_owned)).collect();
    let dictionary: DictionaryArray<Int32Type> = values.iter().copied().collect();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(values.clone())),
        Arc::new(LargeStringArray::from(values.clone())),
        Arc::new(StringViewArray::from(values.clone())),
        Arc::new(dictionary),
    ];
    for array in arrays {
        assert_eq!(texts(Arc::clone(&array)), expected);
        assert_eq!(texts(array.slice(1, 2)), expected[1..3]);
    }
}

#[test]
fn numbers_are_widened_and_checked() {
    let batch = batch(vec![
        (
            "i",
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        ("f", Arc::new(Float32Array::from(vec![1.5, f32::NAN]))),
        ("w", Arc::new(Float64Array::from(vec![2.0, f64::NAN]))),
        ("u", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
    ]);
    let huge = Schema::new(vec![Field::nullable("u", DType::Int64)]).unwrap();
    assert!(
        Bound::new(&batch, &huge)
            .err()
            .unwrap()
            .message
            .contains("\"u\"")
    );
    let schema = Schema::new(vec![
        Field::nullable("i", DType::Float64),
        Field::nullable("f", DType::Float64),
        Field::nullable("w", DType::Int64),
        Field::nullable("absent", DType::Timestamp),
    ])
    .unwrap();
    Bound::new(&batch, &schema)
        .unwrap()
        .lend(|table| {
            for (column, missing) in table.columns().iter().zip([false, false, false, true]) {
                assert_eq!(column.is_missing(0), missing);
                assert!(column.is_missing(1));
            }
            Ok(())
        })
        .unwrap();
    let wrong = Schema::new(vec![Field::nullable("i", DType::String)]).unwrap();
    let error = Bound::new(&batch, &wrong).err().unwrap();
    assert!(
        error.message.contains("\"i\"") && error.message.contains("string"),
        "{error}"
    );
}

/// The column of an array, sliced, under a type.
fn one<R>(array: &ArrayRef, dtype: DType, see: impl FnOnce(&Column<'_>) -> R) -> Result<R> {
    let batch = batch(vec![("c", Arc::clone(array))]);
    let schema = Schema::new(vec![Field::nullable("c", dtype)])?;
    Bound::new(&batch, &schema)?.lend(|table| Ok(see(&table.columns()[0])))
}

#[test]
fn dates_and_time_spans_of_all_units() {
    let date32: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]));
    let day = 86_400_000;
    let date64: ArrayRef = Arc::new(PrimitiveArray::<Date64Type>::from(vec![
        Some(-1),
        None,
        Some(20_000 * day + 5),
    ]));
    for array in [&date32, &date64] {
        assert_eq!(dtype_of("c", array.data_type()).unwrap(), DType::Date);
        let days = one(&array.slice(1, 2), DType::Date, |column| match column {
            Column::Date(days) => (days.get(0), days.get(1)),
            _ => panic!(),
        });
        assert_eq!(days.unwrap(), (None, Some(20_000)));
    }
    // A schema of before there were dates holds them as times.
    let micros = one(&date32, DType::Timestamp, |column| match column {
        Column::Timestamp(times) => times.get(0),
        _ => panic!(),
    });
    assert_eq!(micros.unwrap(), Some(-86_400_000_000));
    let far: ArrayRef = Arc::new(Date32Array::from(vec![0, i32::MAX]));
    let error = one(&far, DType::Date, |_| ()).unwrap_err();
    assert!(error.message.contains("a date in row 1 beyond"), "{error}");
    let seconds = vec![Some(-2), None];
    let seconds: ArrayRef = Arc::new(PrimitiveArray::<DurationSecondType>::from(seconds));
    let nanos = vec![Some(-1_999_999_001), None];
    let nanos: ArrayRef = Arc::new(PrimitiveArray::<DurationNanosecondType>::from(nanos));
    for array in [&seconds, &nanos] {
        let spans = one(array, DType::Duration, |column| match column {
            Column::Duration(spans) => (spans.get(0), spans.get(1)),
            _ => panic!(),
        });
        assert_eq!(spans.unwrap(), (Some(-2_000_000), None));
    }
    let far = PrimitiveArray::<DurationSecondType>::from(vec![i64::MAX]);
    let error = one(&(Arc::new(far) as ArrayRef), DType::Duration, |_| ()).unwrap_err();
    assert!(error.message.contains("a time span in row 0"), "{error}");
}

#[test]
fn lists_of_all_layouts_read_the_same_also_sliced() {
    let mut list = ListBuilder::new(Int32Builder::new());
    let mut fixed = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    for row in [Some([Some(1), None]), None, Some([Some(3), Some(4)])] {
        list.append_option(row);
        let items = row.unwrap_or([None, None]);
        items
            .iter()
            .for_each(|item| fixed.values().append_option(*item));
        fixed.append(row.is_some());
    }
    let list: ArrayRef = Arc::new(list.finish());
    let large = DataType::new_large_list(DataType::Int32, true);
    let large = flatten("c", &list, &large).unwrap();
    for array in [list, large, Arc::new(fixed.finish())] {
        assert_eq!(dtype_of("c", array.data_type()).unwrap(), DType::NumberList);
        for (start, due) in [(0, vec![1.0, f64::NAN]), (2, vec![3.0, 4.0])] {
            let part = array.slice(start, array.len() - start);
            one(&part, DType::NumberList, |column| {
                let Column::NumberList(lists) = column else {
                    panic!()
                };
                assert_eq!(format!("{:?}", lists.get(0).unwrap()), format!("{due:?}"));
                assert_eq!(lists.len(), 3 - start);
                assert!(!column.slice(0, 1).is_missing(0));
            })
            .unwrap();
        }
        assert!(one(&array, DType::NumberList, |c| c.is_missing(1)).unwrap());
    }
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a"), None]);
    texts.append_value([Some("é")]);
    let texts: ArrayRef = Arc::new(texts.finish());
    let found = one(&texts.slice(1, 1), DType::TextList, |column| match column {
        Column::TextList(lists) => lists
            .get(0)
            .unwrap()
            .map(|t| t.map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    });
    assert_eq!(found.unwrap(), [Some("é".to_owned())]);
    let nested = DataType::new_list(DataType::new_list(DataType::Int8, true), true);
    assert!(
        dtype_of("c", &nested)
            .unwrap_err()
            .message
            .contains("lists of")
    );
}

/// Bytes in every layout that holds some, one value a row.
fn byte_layouts(values: &[Option<&[u8]>]) -> Vec<ArrayRef> {
    let plain: ArrayRef = Arc::new(BinaryArray::from(values.to_vec()));
    let keyed = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    let mut lists = ListBuilder::new(BinaryBuilder::new());
    for value in values {
        lists.append_value([*value]);
    }
    let mut arrays: Vec<ArrayRef> = [
        DataType::LargeBinary,
        DataType::BinaryView,
        keyed(DataType::Binary),
        keyed(DataType::LargeBinary),
    ]
    .map(|kind| flatten("s", &plain, &kind).unwrap())
    .to_vec();
    arrays.push(plain);
    arrays.push(Arc::new(lists.finish()));
    arrays
}

#[test]
fn bytes_are_text_if_they_are_utf8() {
    let values = [Some("é".as_bytes()), None, Some(b"a\xff"), Some(b"")];
    for array in byte_layouts(&values) {
        let kind = array.data_type().clone();
        let dtype = dtype_of("c", &kind).unwrap();
        let error = one(&array, dtype, |_| ()).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::InvalidInput);
        for part in [
            "\"c\", row 2: the bytes are not valid UTF-8",
            "decode them first",
        ] {
            assert!(error.message.contains(part), "{kind}: {error}");
        }
        // What stands beside a slice is not looked at.
        for (start, rows) in [(0, 2), (3, 1)] {
            one(&array.slice(start, rows), dtype, |column| {
                assert_eq!(column.len(), rows)
            })
            .unwrap();
        }
        if dtype == DType::String {
            assert_eq!(texts(array.slice(0, 2)), [Some("é".to_owned()), None]);
        }
    }
}

#[test]
fn times_before_1970_round_down() {
    let nanos = TimestampNanosecondArray::from(vec![-1, 1_999]);
    let array = timestamps("t", &(Arc::new(nanos) as ArrayRef)).unwrap();
    assert_eq!(array.values().as_ref(), [-1, 1]);
}

#[test]
fn tables_round_trip_through_record_batches() {
    let schema = Schema::new(DType::ALL.map(|d| Field::nullable(d.name(), d)).to_vec()).unwrap();
    let mut buffer = crate::TableBuf::new(&schema, 2);
    for column in &mut buffer.columns {
        match column.dtype() {
            DType::Bool => column.push_bool(true),
            DType::Date => column.push_date(-7),
            DType::Duration => column.push_duration(1_500_000),
            DType::NumberList => column.push_numbers(&[1.5, f64::NAN]),
            DType::TextList => column.push_texts([Some("é"), None].into_iter()),
            DType::Int64 => column.push_i64(7),
            DType::Float64 => column.push_f64(0.5),
            DType::String => column.push_str("x"),
            DType::Timestamp => column.push_timestamp(-5),
        }
        .unwrap();
        column.push_null();
    }
    let batch = record_batch(&buffer.view().unwrap(), &schema).unwrap();
    assert_eq!(
        infer(&batch.schema(), std::slice::from_ref(&batch)).unwrap(),
        schema
    );
    let again = Bound::new(&batch, &schema)
        .unwrap()
        .lend(|table| record_batch(table, &schema))
        .unwrap();
    assert_eq!(again, batch);
}
