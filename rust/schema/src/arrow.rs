//! Arrow arrays in and out: the boundary where other people's tables become ours.
//!
//! Values are borrowed wherever the producer's layout is one of ours (64-bit numbers, every string
//! layout, dictionaries). Narrower numbers, packed bools and other time units are widened once.

mod convert;
mod output;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, PrimitiveArray,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::{
    Column, DType, Error, Field, Lists, Primitive, Result, Schema, Strings, Table, Validity,
};
use convert::{dates, durations, flatten, integers, number_lists, strings, text_lists, timestamps};
pub use output::record_batch;

#[cfg(target_endian = "big")]
compile_error!("string views and binary tensors are read as little-endian");

/// The dtype that a column of this Arrow type becomes; an error that says what to cast to.
pub fn dtype_of(name: &str, data_type: &DataType) -> Result<DType> {
    match data_type {
        DataType::Boolean => Ok(DType::Bool),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => Ok(DType::Int64),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Ok(DType::Float64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DType::String),
        DataType::Dictionary(_, values) => dtype_of(name, values),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Ok(DType::String),
        DataType::Timestamp(_, _) => Ok(DType::Timestamp),
        DataType::Date32 | DataType::Date64 => Ok(DType::Date),
        DataType::Duration(_) => Ok(DType::Duration),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match dtype_of(name, item.data_type())? {
                DType::String => Ok(DType::TextList),
                DType::Int64 | DType::Float64 => Ok(DType::NumberList),
                _ => Err(Error::invalid(format!(
                    "column {name:?} has lists of {}: lists are of numbers or strings",
                    item.data_type()
                ))),
            }
        }
        // A column that is all null has no type of its own (pandas, JSON).
        DataType::Null => Ok(DType::Float64),
        other => Err(Error::invalid(format!(
            "column {name:?} has type {other}, which is none of {}: cast it, or leave the column out",
            DType::ALL.map(DType::name).join(", ")
        ))),
    }
}

/// The schema of record batches; a column is nullable when a value of it is missing in the data.
pub fn infer(schema: &arrow_schema::Schema, batches: &[RecordBatch]) -> Result<Schema> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (position, field) in schema.fields().iter().enumerate() {
        let dtype = dtype_of(field.name(), field.data_type())?;
        let mut nullable = false;
        for batch in batches {
            nullable = nullable || has_missing(field.name(), batch.column(position), dtype)?;
        }
        fields.push(Field {
            name: field.name().clone(),
            dtype,
            nullable,
        });
    }
    Schema::new(fields)
}

fn has_missing(name: &str, array: &ArrayRef, dtype: DType) -> Result<bool> {
    if array.logical_null_count() > 0 {
        return Ok(true);
    }
    if dtype != DType::Float64 {
        return Ok(false);
    }
    let bound = BoundColumn::new(name, array, dtype)?;
    bound.lend(|column| (0..column.len()).any(|row| column.is_missing(row)))
}

/// A record batch whose columns stand in a schema's order and types, ready to be lent as a table.
pub struct Bound {
    columns: Vec<(String, BoundColumn)>,
    rows: usize,
}

impl Bound {
    /// Finds each of the schema's columns in the batch by name. Columns beyond the schema are left
    /// alone; an absent column is an error unless it is nullable (then it is all missing).
    pub fn new(batch: &RecordBatch, schema: &Schema) -> Result<Self> {
        let mut columns = Vec::with_capacity(schema.len());
        for field in schema.fields() {
            let column = match batch.column_by_name(&field.name) {
                Some(array) => BoundColumn::new(&field.name, array, field.dtype)?,
                None if field.nullable => BoundColumn::absent(field.dtype, batch.num_rows()),
                None => {
                    return Err(Error::invalid(format!(
                        "column {:?} is missing from the table, which has {}: add it, or make it nullable in the schema",
                        field.name,
                        batch
                            .schema()
                            .fields()
                            .iter()
                            .map(|f| f.name().as_str())
                            .collect::<Vec<_>>()
                            .join(", ")
                    )));
                }
            };
            columns.push((field.name.clone(), column));
        }
        Ok(Self {
            columns,
            rows: batch.num_rows(),
        })
    }

    /// Lends the columns as a table for as long as `use_table` runs.
    pub fn lend<R>(&self, use_table: impl FnOnce(&Table<'_>) -> Result<R>) -> Result<R> {
        let parts: Vec<Parts<'_>> = self
            .columns
            .iter()
            .map(|(_, column)| column.parts())
            .collect();
        let mut columns = Vec::with_capacity(parts.len());
        for ((name, column), parts) in self.columns.iter().zip(&parts) {
            columns.push(
                column
                    .view(parts)
                    .map_err(|error| error.at(format!("column {name:?}")))?,
            );
        }
        use_table(&Table::new(columns, self.rows)?)
    }
}

/// One column in a layout that we can lend.
enum BoundColumn {
    Bool(Vec<u8>, Option<NullBuffer>),
    Int64(Int64Array),
    Float64(Float64Array),
    Utf8(StringArray),
    LargeUtf8(LargeStringArray),
    Utf8View(StringViewArray),
    Dictionary {
        keys: Vec<i32>,
        values: StringArray,
        nulls: Option<NullBuffer>,
    },
    Timestamp(TimestampMicrosecondArray),
    Date(Vec<i64>, Option<NullBuffer>),
    Duration(Vec<i64>, Option<NullBuffer>),
    NumberList {
        offsets: Vec<i64>,
        items: Vec<f64>,
        nulls: Option<NullBuffer>,
    },
    TextList {
        offsets: Vec<i64>,
        items: Box<BoundColumn>,
        nulls: Option<NullBuffer>,
    },
}

/// What must stand still beside a column while it is lent.
#[derive(Default)]
struct Parts<'a> {
    slices: Vec<&'a str>,
    buffers: Vec<&'a [u8]>,
}

impl BoundColumn {
    fn new(name: &str, array: &ArrayRef, dtype: DType) -> Result<Self> {
        let found = dtype_of(name, array.data_type())?;
        let all_null = array.logical_null_count() == array.len();
        let allowed = found == dtype
            || all_null
            || matches!(
                (found, dtype),
                (DType::Int64, DType::Float64)
                    | (DType::Float64, DType::Int64)
                    | (DType::Date, DType::Timestamp)
            );
        if !allowed {
            return Err(Error::invalid(format!(
                "column {name:?} is {} where {dtype} is due: cast it before it is used",
                array.data_type()
            )));
        }
        if all_null && found != dtype {
            return Ok(Self::absent(dtype, array.len()));
        }
        match dtype {
            DType::Bool => {
                let array = flatten(name, array, &DataType::Boolean)?;
                let array: &BooleanArray = array.as_boolean();
                let values = (0..array.len()).map(|i| u8::from(array.value(i))).collect();
                Ok(Self::Bool(values, array.nulls().cloned()))
            }
            DType::Int64 => Ok(Self::Int64(integers(name, array)?)),
            DType::Float64 => {
                let array = flatten(name, array, &DataType::Float64)?;
                Ok(Self::Float64(array.as_primitive::<Float64Type>().clone()))
            }
            DType::String => strings(name, array),
            DType::Timestamp => Ok(Self::Timestamp(timestamps(name, array)?)),
            DType::Date => {
                let (days, nulls) = dates(name, array)?;
                Ok(Self::Date(days, nulls))
            }
            DType::Duration => {
                let (micros, nulls) = durations(name, array)?;
                Ok(Self::Duration(micros, nulls))
            }
            DType::NumberList => number_lists(name, array),
            DType::TextList => text_lists(name, array),
        }
    }

    fn absent(dtype: DType, rows: usize) -> Self {
        let nulls = Some(NullBuffer::new_null(rows));
        match dtype {
            DType::Bool => Self::Bool(vec![0; rows], nulls),
            DType::Int64 => Self::Int64(Int64Array::new_null(rows)),
            DType::Float64 => Self::Float64(Float64Array::new_null(rows)),
            DType::String => Self::Utf8(StringArray::new_null(rows)),
            DType::Timestamp => Self::Timestamp(TimestampMicrosecondArray::new_null(rows)),
            DType::Date => Self::Date(vec![0; rows], nulls),
            DType::Duration => Self::Duration(vec![0; rows], nulls),
            DType::NumberList => Self::NumberList {
                offsets: vec![0; rows + 1],
                items: Vec::new(),
                nulls,
            },
            DType::TextList => Self::TextList {
                offsets: vec![0; rows + 1],
                items: Box::new(Self::Utf8(StringArray::new_null(0))),
                nulls,
            },
        }
    }

    fn parts(&self) -> Parts<'_> {
        let mut parts = Parts::default();
        match self {
            Self::Dictionary { values, .. } => {
                parts.slices = (0..values.len()).map(|i| values.value(i)).collect();
            }
            Self::Utf8View(array) => {
                parts.buffers = array.data_buffers().iter().map(|b| b.as_slice()).collect();
            }
            Self::TextList { items, .. } => return items.parts(),
            _ => {}
        }
        parts
    }

    fn view<'a>(&'a self, parts: &'a Parts<'a>) -> Result<Column<'a>> {
        Ok(match self {
            Self::Bool(values, nulls) => Column::Bool(Primitive {
                values,
                validity: validity(nulls.as_ref()),
            }),
            Self::Int64(array) => Column::Int64(primitive(array)),
            Self::Float64(array) => Column::Float64(primitive(array)),
            Self::Timestamp(array) => Column::Timestamp(primitive(array)),
            Self::Date(values, nulls) => Column::Date(Primitive {
                values,
                validity: validity(nulls.as_ref()),
            }),
            Self::Duration(values, nulls) => Column::Duration(Primitive {
                values,
                validity: validity(nulls.as_ref()),
            }),
            Self::NumberList {
                offsets,
                items,
                nulls,
            } => Column::NumberList(Lists::new(offsets, items, validity(nulls.as_ref()))),
            Self::TextList {
                offsets,
                items,
                nulls,
            } => match items.view(parts)? {
                Column::String(texts) => {
                    Column::TextList(Lists::new(offsets, texts, validity(nulls.as_ref())))
                }
                _ => return Err(Error::internal("a list of texts without texts")),
            },
            Self::Utf8(array) => {
                let offsets = array.value_offsets();
                let text = text(array.value_data(), offsets.first(), offsets.last())?;
                Column::String(Strings::offsets32(offsets, text, validity(array.nulls())))
            }
            Self::LargeUtf8(array) => {
                let offsets = array.value_offsets();
                let text = text(array.value_data(), offsets.first(), offsets.last())?;
                Column::String(Strings::offsets64(offsets, text, validity(array.nulls())))
            }
            Self::Utf8View(array) => Column::String(Strings::views(
                array.views(),
                &parts.buffers,
                validity(array.nulls()),
            )?),
            Self::Dictionary { keys, nulls, .. } => Column::String(Strings::dictionary(
                keys,
                &parts.slices,
                validity(nulls.as_ref()),
            )),
        })
    }

    fn lend<R>(&self, use_column: impl FnOnce(&Column<'_>) -> R) -> Result<R> {
        let parts = self.parts();
        Ok(use_column(&self.view(&parts)?))
    }
}

fn validity(nulls: Option<&NullBuffer>) -> Validity<'_> {
    match nulls {
        Some(nulls) if nulls.null_count() > 0 => Validity::bitmap(nulls.validity(), nulls.offset()),
        _ => Validity::ALL,
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Primitive<'_, T::Native> {
    Primitive {
        values: array.values(),
        validity: validity(array.nulls()),
    }
}

/// The text between the first and the last offset, checked to be UTF-8 once for the whole column.
fn text<'a, O: Copy + TryInto<usize>>(
    data: &'a [u8],
    first: Option<&O>,
    last: Option<&O>,
) -> Result<&'a str> {
    let place = |offset: Option<&O>| offset.map_or(Some(0), |o| (*o).try_into().ok());
    place(first)
        .zip(place(last))
        .and_then(|(first, last)| data.get(first..last))
        .ok_or_else(|| Error::invalid("the offsets of the text point outside of it"))
        .and_then(|bytes| {
            std::str::from_utf8(bytes)
                .map_err(|error| Error::invalid(format!("text is not valid UTF-8: {error}")))
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{FixedSizeListBuilder, Int32Builder, ListBuilder, StringBuilder};
    use arrow_array::types::{Date64Type, DurationNanosecondType, DurationSecondType, Int32Type};
    use arrow_array::{
        BinaryArray, Date32Array, DictionaryArray, Float32Array, Int32Array,
        TimestampNanosecondArray, UInt64Array,
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

    #[test]
    fn bytes_are_text_if_they_are_utf8() {
        let good: ArrayRef = Arc::new(BinaryArray::from(vec![Some("é".as_bytes()), None]));
        assert_eq!(texts(good), [Some("é".to_owned()), None]);
        let bad: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"a"[..]), Some(&[0xff])]));
        let error = one(&bad, DType::String, |_| ()).unwrap_err();
        assert!(
            error
                .message
                .contains("row 1: the bytes are not valid UTF-8"),
            "{error}"
        );
    }

    #[test]
    fn times_before_1970_round_down() {
        let nanos = TimestampNanosecondArray::from(vec![-1, 1_999]);
        let array = timestamps("t", &(Arc::new(nanos) as ArrayRef)).unwrap();
        assert_eq!(array.values().as_ref(), [-1, 1]);
    }

    #[test]
    fn tables_round_trip_through_record_batches() {
        let schema =
            Schema::new(DType::ALL.map(|d| Field::nullable(d.name(), d)).to_vec()).unwrap();
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
}
