//! Our tables as Arrow's.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, DurationMicrosecondArray, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use crate::{Column, Error, NumberLists, Result, Schema, Table, TextLists};

/// Lists of texts as Arrow has them.
fn text_list_array(lists: &TextLists<'_>) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in 0..lists.len() {
        match lists.get(row) {
            Some(items) => builder.append_value(items),
            None => builder.append_null(),
        }
    }
    builder.finish()
}

/// Lists of numbers as Arrow has them; NaN becomes null.
fn number_list_array(lists: &NumberLists<'_>) -> ListArray {
    let mut builder = ListBuilder::new(Float64Builder::new());
    for row in 0..lists.len() {
        match lists.get(row) {
            Some(items) => builder.append_value(
                items
                    .iter()
                    .map(|item| Some(*item).filter(|item| !item.is_nan())),
            ),
            None => builder.append_null(),
        }
    }
    builder.finish()
}

/// A table as a record batch of Arrow's plain types (bool, int64, float64, utf8, timestamp and
/// duration of µs, date32, lists of float64 and utf8).
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
            // Days beyond 32 bits are six million years away.
            Column::Date(c) => Arc::new(Date32Array::from_iter(
                rows.map(|i| c.get(i).and_then(|days| i32::try_from(days).ok())),
            )),
            Column::Duration(c) => {
                Arc::new(DurationMicrosecondArray::from_iter(rows.map(|i| c.get(i))))
            }
            Column::NumberList(c) => Arc::new(number_list_array(c)),
            Column::TextList(c) => Arc::new(text_list_array(c)),
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
