//! Arrow arrays in and out: the boundary where other people's tables become ours.
//!
//! Values are borrowed wherever the producer's layout is one of ours (64-bit numbers, every string
//! layout, dictionaries). Narrower numbers, packed bools and other time units are widened once.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, PrimitiveArray,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use crate::{Column, DType, Error, Field, Primitive, Result, Schema, Strings, Table, Validity};

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
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => Ok(DType::Timestamp),
        // A column that is all null has no type of its own (pandas, JSON).
        DataType::Null => Ok(DType::Float64),
        other => Err(Error::invalid(format!(
            "column {name:?} has type {other}, which is none of bool, int64, float64, string and timestamp: cast it, or leave the column out"
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
                (DType::Int64, DType::Float64) | (DType::Float64, DType::Int64)
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

/// Casts to a type, also out of a dictionary; values that do not fit are errors.
fn flatten(name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options)
        .map_err(|error| Error::invalid(format!("column {name:?} cannot become {to}: {error}")))
}

fn integers(name: &str, array: &ArrayRef) -> Result<Int64Array> {
    let array = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let floats = flatten(name, array, &DataType::Float64)?;
            return whole(name, floats.as_primitive::<Float64Type>());
        }
        _ => flatten(name, array, &DataType::Int64)?,
    };
    Ok(array.as_primitive::<Int64Type>().clone())
}

/// Whole floats as integers, as pandas gives an integer column with missing values.
fn whole(name: &str, floats: &Float64Array) -> Result<Int64Array> {
    let mut buffer = crate::ColumnBuf::new(DType::Int64, floats.len());
    let mut values = Vec::with_capacity(floats.len());
    for (row, value) in floats.iter().enumerate() {
        let value = value.filter(|value| !value.is_nan());
        if let Some(value) = value {
            buffer
                .push_f64(value)
                .map_err(|error| error.at(format!("column {name:?}, row {row}")))?;
        }
        values.push(value.map(|value| value as i64));
    }
    Ok(values.into())
}

fn strings(name: &str, array: &ArrayRef) -> Result<BoundColumn> {
    match array.data_type() {
        DataType::Utf8 => Ok(BoundColumn::Utf8(array.as_string::<i32>().clone())),
        DataType::LargeUtf8 => Ok(BoundColumn::LargeUtf8(array.as_string::<i64>().clone())),
        DataType::Utf8View => Ok(BoundColumn::Utf8View(array.as_string_view().clone())),
        DataType::Dictionary(_, _) => {
            let keyed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let array = flatten(name, array, &keyed)?;
            let array = array.as_dictionary::<Int32Type>();
            let values = array.values().as_string::<i32>().clone();
            let mut keys = Vec::with_capacity(array.len());
            let mut valid = Vec::with_capacity(array.len());
            for (row, key) in array.keys().iter().enumerate() {
                let inside = |key: i32| {
                    usize::try_from(key)
                        .ok()
                        .filter(|place| *place < values.len())
                };
                let place = match key {
                    None => None,
                    Some(key) => Some(inside(key).ok_or_else(|| {
                        Error::invalid(format!(
                            "column {name:?}, row {row}: key {key} is outside the dictionary"
                        ))
                    })?),
                };
                valid.push(place.is_some_and(|place| values.is_valid(place)));
                keys.push(place.map_or(0, |place| place as i32));
            }
            let nulls = Some(NullBuffer::from(valid));
            Ok(BoundColumn::Dictionary {
                keys,
                values,
                nulls,
            })
        }
        other => Err(Error::internal(format!(
            "column {name:?} of {other} taken for text"
        ))),
    }
}

/// Microseconds since 1970 UTC. Times without a zone are taken as UTC; finer units round down.
fn timestamps(name: &str, array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    /// Microseconds in a day.
    const DAY: i64 = 86_400_000_000;
    fn scaled<T: ArrowPrimitiveType>(
        name: &str,
        array: &ArrayRef,
        scale: impl Fn(T::Native) -> Option<i64>,
    ) -> Result<TimestampMicrosecondArray> {
        let array = array.as_primitive::<T>();
        let beyond = |_| {
            Error::invalid(format!(
                "column {name:?} has a time beyond what 64 bits of microseconds hold"
            ))
        };
        array
            .try_unary::<_, TimestampMicrosecondType, ()>(|value| scale(value).ok_or(()))
            .map_err(beyond)
    }
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            scaled::<TimestampSecondType>(name, array, |v| v.checked_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            scaled::<TimestampMillisecondType>(name, array, |v| v.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            Ok(TimestampMicrosecondArray::new(
                array.values().clone(),
                array.nulls().cloned(),
            ))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            scaled::<TimestampNanosecondType>(name, array, |v| Some(v.div_euclid(1_000)))
        }
        DataType::Date32 => scaled::<Date32Type>(name, array, |v| i64::from(v).checked_mul(DAY)),
        DataType::Date64 => scaled::<Date64Type>(name, array, |v| v.checked_mul(1_000)),
        other => Err(Error::invalid(format!(
            "column {name:?} is {other} where timestamp is due: cast it before it is used"
        ))),
    }
}

/// A table as a record batch of Arrow's plain types (bool, int64, float64, utf8, timestamp µs).
pub fn record_batch(table: &Table<'_>, schema: &Schema) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(schema.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.len());
    for (field, column) in schema.fields().iter().zip(table.columns()) {
        let rows = 0..table.rows();
        let array: ArrayRef = match column {
            Column::Bool(c) => Arc::new(BooleanArray::from_iter(
                rows.map(|i| c.get(i).map(|v| v != 0)),
            )),
            Column::Int64(c) => Arc::new(Int64Array::from_iter(rows.map(|i| c.get(i)))),
            Column::Float64(c) => Arc::new(Float64Array::from_iter(
                rows.map(|i| c.get(i).filter(|v| !v.is_nan())),
            )),
            Column::String(c) => Arc::new(StringArray::from_iter(rows.map(|i| c.get(i)))),
            Column::Timestamp(c) => {
                Arc::new(TimestampMicrosecondArray::from_iter(rows.map(|i| c.get(i))))
            }
        };
        fields.push(arrow_schema::Field::new(
            &field.name,
            array.data_type().clone(),
            true,
        ));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), arrays)
        .map_err(|error| Error::internal(format!("a table that is no record batch: {error}")))
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        DictionaryArray, Float32Array, Int32Array, TimestampNanosecondArray, UInt64Array,
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
