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
                Some(array) => BoundColumn::new(&field.name, array, field.dtype)
                    .map_err(|error| error.mistyped(&field.name))?,
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
            DType::String => strings(name, array, |row| row),
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
mod tests;
