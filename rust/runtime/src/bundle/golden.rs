//! Golden rows: raw inputs with the outputs that are expected of them, replayed at each load.

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use tidegate_features::Plan;
use tidegate_schema::arrow::Bound;
use tidegate_schema::{Column, Error, ErrorKind, Result, Schema, Table, TableBuf};

use super::manifest::GoldenEntry;
use crate::output::output_columns;
use crate::path::run_table;
use crate::work::Executor;

/// What the names of expected columns begin with.
pub(super) const PREFIX: &str = "output:";
/// Most golden rows: they are kept in memory while a bundle is loaded.
pub(super) const MAX_ROWS: usize = 100_000;

/// Computes the golden rows again, on the path that requests take, and compares.
///
/// # Errors
/// `Integrity` that names the first row and column that differ.
pub(crate) fn replay(
    file: &[u8],
    entry: &GoldenEntry,
    plan: &Plan,
    executor: &mut Executor,
) -> Result<()> {
    let unreadable = |error| Error::state(format!("golden.arrow is not an Arrow file: {error}"));
    let reader = FileReader::try_new(Cursor::new(file), None).map_err(unreadable)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(unreadable)?;
        if rows + batch.num_rows() > MAX_ROWS {
            return Err(Error::state(format!(
                "golden.arrow has more than {MAX_ROWS} rows: build the bundle with fewer"
            )));
        }
        replay_batch(&batch, rows, entry, plan, executor)?;
        rows += batch.num_rows();
    }
    if rows != entry.rows {
        return Err(Error::new(
            ErrorKind::Integrity,
            format!(
                "golden.arrow has {rows} rows where the manifest says {}: build the bundle again",
                entry.rows
            ),
        ));
    }
    Ok(())
}

fn replay_batch(
    batch: &RecordBatch,
    before: usize,
    entry: &GoldenEntry,
    plan: &Plan,
    executor: &mut Executor,
) -> Result<()> {
    let inputs =
        Bound::new(batch, plan.input_schema()).map_err(|error| error.at("golden.arrow"))?;
    let outputs = inputs.lend(|table| {
        table.check(plan.input_schema())?;
        run_table(plan, table, executor)
    });
    let outputs = outputs.map_err(|error| {
        Error::new(
            ErrorKind::Integrity,
            format!("the golden rows cannot be computed: {}", error.message),
        )
    })?;
    let (schema, found) = output_columns(&outputs)?;
    let expected = expected_columns(batch, &schema)?;
    expected.lend(|expected| compare(&schema, &found, expected, before, entry))
}

/// The `output:` columns by their plain names, in the order of the model's outputs.
fn expected_columns(batch: &RecordBatch, schema: &Schema) -> Result<Bound> {
    let mut count = 0;
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some(name) = field.name().strip_prefix(PREFIX) else {
            continue;
        };
        count += 1;
        fields.push(arrow_schema::Field::new(
            name,
            field.data_type().clone(),
            true,
        ));
        arrays.push(array.clone());
    }
    let names = schema.fields().iter().map(|field| field.name.as_str());
    let missing = names
        .clone()
        .find(|name| batch.column_by_name(&format!("{PREFIX}{name}")).is_none());
    if missing.is_some() || count != schema.len() {
        return Err(Error::new(
            ErrorKind::Integrity,
            format!(
                "golden.arrow has {count} output columns where the model gives {}: build the bundle again",
                names.collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    let batch = RecordBatch::try_new(
        std::sync::Arc::new(arrow_schema::Schema::new(fields)),
        arrays,
    )
    .map_err(|error| Error::state(format!("golden.arrow: {error}")))?;
    Bound::new(&batch, schema).map_err(|error| error.at("golden.arrow"))
}

fn compare(
    schema: &Schema,
    found: &TableBuf,
    expected: &Table<'_>,
    before: usize,
    entry: &GoldenEntry,
) -> Result<()> {
    let found = found.view()?;
    let columns = found.columns().iter().zip(expected.columns());
    for (field, (found, expected)) in schema.fields().iter().zip(columns) {
        for row in 0..found.len() {
            if !agree(found, expected, row, entry) {
                return Err(Error::new(
                    ErrorKind::Integrity,
                    format!(
                        "golden row {} gives {} for {:?} where {} is expected (rtol {}, atol {}): the bundle does not reproduce its own outputs here; build it again with this version",
                        before + row,
                        shown(found, row),
                        field.name,
                        shown(expected, row),
                        entry.rtol,
                        entry.atol
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Floats within the tolerances, all else equal; missing agrees with missing.
fn agree(found: &Column<'_>, expected: &Column<'_>, row: usize, entry: &GoldenEntry) -> bool {
    if found.is_missing(row) || expected.is_missing(row) {
        return found.is_missing(row) && expected.is_missing(row);
    }
    match (found, expected) {
        (Column::Float64(found), Column::Float64(expected)) => {
            match (found.get(row), expected.get(row)) {
                (Some(f), Some(e)) => f == e || (f - e).abs() <= entry.atol + entry.rtol * e.abs(),
                _ => false,
            }
        }
        (Column::Int64(found), Column::Int64(expected))
        | (Column::Timestamp(found), Column::Timestamp(expected))
        | (Column::Date(found), Column::Date(expected))
        | (Column::Duration(found), Column::Duration(expected)) => {
            found.get(row) == expected.get(row)
        }
        (Column::Bool(found), Column::Bool(expected)) => {
            found.get(row).map(|v| v != 0) == expected.get(row).map(|v| v != 0)
        }
        (Column::String(found), Column::String(expected)) => found.get(row) == expected.get(row),
        (Column::NumberList(found), Column::NumberList(expected)) => {
            // Bits, so that a missing item agrees with a missing one.
            let bits = |list: Option<&[f64]>| -> Option<Vec<u64>> {
                Some(list?.iter().map(|item| item.to_bits()).collect())
            };
            bits(found.get(row)) == bits(expected.get(row))
        }
        (Column::TextList(found), Column::TextList(expected)) => {
            match (found.get(row), expected.get(row)) {
                (Some(found), Some(expected)) => found.eq(expected),
                _ => false,
            }
        }
        _ => false,
    }
}

fn shown(column: &Column<'_>, row: usize) -> String {
    if column.is_missing(row) {
        return "nothing".to_owned();
    }
    match column {
        Column::Bool(c) => c.get(row).map(|v| (v != 0).to_string()),
        Column::Int64(c) | Column::Timestamp(c) | Column::Date(c) | Column::Duration(c) => {
            c.get(row).map(|v| v.to_string())
        }
        Column::Float64(c) => c.get(row).map(|v| v.to_string()),
        Column::String(c) => c.get(row).map(|v| format!("{v:?}")),
        Column::NumberList(c) => c.get(row).map(|v| format!("{v:?}")),
        Column::TextList(c) => c.get(row).map(|v| format!("{:?}", v.collect::<Vec<_>>())),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidegate_schema::Primitive;

    use super::*;

    #[test]
    fn floats_agree_within_the_tolerances() {
        let entry = GoldenEntry {
            rows: 4,
            rtol: 1e-4,
            atol: 1e-5,
            onnxruntime: String::new(),
        };
        let found = [1.0, 1.0, f64::NAN, f64::INFINITY];
        let expected = [1.000_05, 1.001, f64::NAN, f64::INFINITY];
        let column = |values| Column::Float64(Primitive::all(values));
        let verdicts: Vec<bool> = (0..4)
            .map(|row| agree(&column(&found), &column(&expected), row, &entry))
            .collect();
        assert_eq!(verdicts, [true, false, true, true]);
        assert_eq!(shown(&column(&found), 2), "nothing");
    }
}
