//! Rows as an Arrow IPC stream: large batches without JSON.
//!
//! The columns are found by name. Every layout of strings is taken (dictionary, large, views),
//! narrower numbers are widened, null and NaN are missing.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use tidegate_schema::arrow::{Bound, infer, record_batch};
use tidegate_schema::{Error, Field, Result, Schema, Table, TableBuf};

use crate::Limits;
use crate::columns::unknown;
use crate::limits::too_many;
use crate::rows::Extra;

/// What such a body is called in `Content-Type` and `Accept`.
pub const MEDIA_TYPE: &str = "application/vnd.apache.arrow.stream";

/// Reads all batches of a stream into the columns of a schema.
///
/// Nothing is reserved on a mere claim: a length beyond the body is an error. An absent column of a
/// nullable field is missing in every row. Compressed buffers are refused.
pub fn decode(body: &[u8], schema: &Schema, extra: Extra, limits: &Limits) -> Result<TableBuf> {
    // The reader takes a few impossible messages for granted and panics on them.
    let read = catch_unwind(AssertUnwindSafe(|| read(body, schema, extra, limits)));
    read.unwrap_or_else(|_| Err(contradictory()))
}

fn read(body: &[u8], schema: &Schema, extra: Extra, limits: &Limits) -> Result<TableBuf> {
    let mut decoder = StreamDecoder::new();
    let mut left = Buffer::from(body);
    let mut table = TableBuf::new(schema, 0);
    while !left.is_empty() {
        let Some(batch) = decoder.decode(&mut left).map_err(malformed)? else {
            continue;
        };
        if table.rows() == 0 && extra == Extra::Refuse {
            known(&batch, schema)?;
        }
        append(&mut table, &batch, schema, limits)?;
    }
    decoder.finish().map_err(malformed)?;
    if table.rows() == 0 {
        return Err(no_rows());
    }
    Ok(table)
}

/// Reads a stream batch by batch, each with the columns that it has. Gives what `each` gave.
///
/// # Errors
/// As [`decode`]; those of `each`.
pub(crate) fn decode_batches<R>(
    body: &[u8],
    limits: &Limits,
    mut each: impl FnMut(&Schema, &Table<'_>) -> Result<R>,
) -> Result<Vec<R>> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut decoder = StreamDecoder::new();
        let mut left = Buffer::from(body);
        let (mut rows, mut found) = (0_usize, Vec::new());
        while !left.is_empty() {
            let Some(batch) = decoder.decode(&mut left).map_err(malformed)? else {
                continue;
            };
            rows = rows.saturating_add(batch.num_rows());
            limits.check_rows(rows)?;
            let schema = infer(&batch.schema(), std::slice::from_ref(&batch))?;
            found.push(Bound::new(&batch, &schema)?.lend(|table| each(&schema, table))?);
        }
        decoder.finish().map_err(malformed)?;
        if rows == 0 {
            return Err(no_rows());
        }
        Ok(found)
    }));
    read.unwrap_or_else(|_| Err(contradictory()))
}

#[cold]
fn no_rows() -> Error {
    Error::invalid("the Arrow stream has no rows: send at least one")
}

#[cold]
fn contradictory() -> Error {
    Error::invalid("the body is no Arrow IPC stream: its messages contradict each other")
}

#[cold]
fn malformed(error: ArrowError) -> Error {
    let reason: String = error.to_string().chars().take(240).collect();
    Error::invalid(format!(
        "the body is no Arrow IPC stream ({reason}): send the stream format, uncompressed"
    ))
}

fn known(batch: &RecordBatch, schema: &Schema) -> Result<()> {
    let fields = batch.schema();
    let mut names = fields.fields().iter().map(|field| field.name().as_str());
    names
        .find(|name| schema.position(name).is_none())
        .map_or(Ok(()), |name| Err(unknown(schema, name)))
}

fn append(
    table: &mut TableBuf,
    batch: &RecordBatch,
    schema: &Schema,
    limits: &Limits,
) -> Result<()> {
    // A batch of nulls has rows without bytes, so they are counted before they are used.
    let rows = table.rows().saturating_add(batch.num_rows());
    limits.check_rows(rows)?;
    let elements = rows.saturating_mul(schema.len().max(batch.num_columns()));
    if elements > limits.elements {
        return Err(too_many("elements", elements, limits.elements));
    }
    Bound::new(batch, schema)?.lend(|columns| {
        for ((to, from), field) in table
            .columns
            .iter_mut()
            .zip(columns.columns())
            .zip(schema.fields())
        {
            let before = to.len();
            to.extend_from(from)
                .map_err(|error| error.at(format!("column {:?}", field.name)))?;
            required(field, from, before)?;
        }
        Ok(())
    })
}

/// A value missing where none may be.
fn required(field: &Field, column: &tidegate_schema::Column<'_>, before: usize) -> Result<()> {
    if field.nullable {
        return Ok(());
    }
    match (0..column.len()).find(|&row| column.is_missing(row)) {
        None => Ok(()),
        Some(row) => Err(Error::invalid(format!(
            "column {:?} is missing in row {} but may not be: send a value",
            field.name,
            before + row
        ))),
    }
}

/// Writes a table as a stream of one batch, with `metadata` in its schema.
pub fn encode(table: &TableBuf, schema: &Schema, metadata: &[(&str, String)]) -> Result<Vec<u8>> {
    let batch = record_batch(&table.view()?, schema)?;
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let described = batch.schema().as_ref().clone().with_metadata(metadata);
    let written = batch.with_schema(Arc::new(described)).and_then(|batch| {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        writer.finish()?;
        writer.into_inner()
    });
    written.map_err(|error| {
        Error::internal(format!("the answer could not be written as Arrow: {error}"))
    })
}
