//! The evidence of a bundle, made by the path that will serve it: what its inputs and outputs
//! look like, and golden rows.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_select::concat::concat_batches;
use tidegate_drift::{BaselineBuilder, Segments};
use tidegate_features::Plan;
use tidegate_schema::arrow::record_batch;
use tidegate_schema::{ColumnBuf, Error, ErrorKind, Field, Result, Schema, Table, Tensor};

use super::golden::{MAX_ROWS, PREFIX};
use super::manifest::Kind;
use super::parts::{check_width, plan_of};
use crate::backend::Backend;
use crate::metrics::Counters;
use crate::onnx::{OnnxBackend, library_version};
use crate::output::{OutputColumn, layout, output_columns, watched};
use crate::path::{MORSEL_ROWS, run_table};
use crate::work::Executor;

/// The relative tolerance of golden rows: bits differ between processors.
pub const DEFAULT_RTOL: f64 = 1e-4;
/// The absolute tolerance of golden rows.
pub const DEFAULT_ATOL: f64 = 1e-5;

/// Which rows become golden rows.
#[derive(Clone, Copy, Debug)]
pub enum GoldenRows<'a> {
    /// So many, spread evenly over the sample.
    Spread(usize),
    /// These, of the builder's choice: raw inputs lie in a bundle for all to read.
    Given(&'a Table<'a>),
}

/// What was written, for the manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Rows that the baseline was taken from.
    pub baseline_rows: usize,
    /// Golden rows.
    pub golden_rows: usize,
    /// Their relative tolerance.
    pub rtol: f64,
    /// Their absolute tolerance.
    pub atol: f64,
    /// The version that computed them.
    pub onnxruntime: String,
}

/// Writes `baseline.json` and `golden.arrow` into a folder that holds `schema.json`,
/// `features.json` and `model.onnx`.
///
/// `sample` are tables of the columns of `schema.json`, all of which are summarised; each needs to
/// be in memory only while it is visited. With a `segment` column the baseline knows its rows by the
/// values of that column as well, for which the model computes the sample twice.
///
/// # Errors
/// As loading the parts of a bundle; `InvalidInput` when the sample is empty or does not fit the
/// schema; `Backend` when the folder cannot be written.
pub fn write_evidence(
    dir: &Path,
    kind: Kind,
    sample: &[Table<'_>],
    golden: GoldenRows<'_>,
    segment: Option<&str>,
) -> Result<Evidence> {
    let text = |name: &str| {
        std::fs::read_to_string(dir.join(name))
            .map_err(|error| Error::not_found(format!("{name} in {}: {error}", dir.display())))
    };
    let schema = Schema::from_json(&text("schema.json")?).map_err(|e| e.at("schema.json"))?;
    let plan = plan_of(&text("features.json")?, &schema)?;
    let model = std::fs::read(dir.join("model.onnx"))
        .map_err(|error| Error::not_found(format!("model.onnx in {}: {error}", dir.display())))?;
    let backend = OnnxBackend::from_bytes(&model)?;
    check_width(backend.inputs(), plan.width())?;
    let mut executor = Executor::new(Box::new(backend), Arc::new(Counters::new()), true);
    let (baseline, rows) = baseline(&plan, &mut executor, kind, sample, segment)?;
    let golden = match golden {
        GoldenRows::Given(table) => golden_batch(&plan, &mut executor, table)?,
        GoldenRows::Spread(count) => {
            let rows = spread(sample, rows, count.clamp(1, MAX_ROWS));
            let batches: Vec<RecordBatch> = rows
                .iter()
                .map(|row| golden_batch(&plan, &mut executor, row))
                .collect::<Result<_>>()?;
            together(&batches)?
        }
    };
    let golden_rows = golden.num_rows();
    if golden_rows == 0 || golden_rows > MAX_ROWS {
        return Err(Error::invalid(format!(
            "{golden_rows} golden rows: give between 1 and {MAX_ROWS}"
        )));
    }
    std::fs::write(dir.join("baseline.json"), baseline)
        .map_err(|e| unwritten("baseline.json", &e))?;
    write_arrow(&dir.join("golden.arrow"), &golden)?;
    Ok(Evidence {
        baseline_rows: rows,
        golden_rows,
        rtol: DEFAULT_RTOL,
        atol: DEFAULT_ATOL,
        onnxruntime: library_version().unwrap_or_default(),
    })
}

fn baseline(
    plan: &Plan,
    executor: &mut Executor,
    kind: Kind,
    sample: &[Table<'_>],
    segment: Option<&str>,
) -> Result<(String, usize)> {
    let mut state: Option<(BaselineBuilder, Vec<OutputColumn>)> = None;
    each_morsel(plan, executor, sample, |morsel, outputs| {
        let (builder, columns) = match &mut state {
            Some(state) => state,
            None => {
                let binary = kind == Kind::Classifier;
                let columns = watched(layout(outputs)?, outputs, binary);
                let builder = BaselineBuilder::new(plan.input_schema(), &schema_of(&columns)?)?;
                state.insert((builder, columns))
            }
        };
        with_answers(morsel, columns, outputs, |table| builder.update(table))
    })?;
    let (builder, columns) = state.ok_or_else(|| {
        Error::invalid("the sample has no rows: give rows like those that the model was trained on")
    })?;
    let mut baseline = builder.finish()?;
    if let Some(column) = segment {
        // Which values are the most frequent is known by now only.
        let segments = Segments::new(&baseline, column)?;
        let mut parts = Vec::new();
        each_morsel(plan, executor, sample, |morsel, outputs| {
            with_answers(morsel, &columns, outputs, |table| {
                segments.take(&baseline, table, &mut parts)
            })
        })?;
        baseline = baseline.with_segments(segments, parts)?;
    }
    Ok((baseline.to_json(), sample.iter().map(Table::rows).sum()))
}

/// Runs the sample through features and model, and hands on its rows with their outputs.
fn each_morsel(
    plan: &Plan,
    executor: &mut Executor,
    sample: &[Table<'_>],
    mut each: impl FnMut(&Table<'_>, &[Tensor]) -> Result<()>,
) -> Result<()> {
    for table in sample {
        table.check(plan.input_schema())?;
        for start in (0..table.rows()).step_by(MORSEL_ROWS) {
            let morsel = table.slice(start, MORSEL_ROWS.min(table.rows() - start));
            let outputs = run_table(plan, &morsel, executor)?;
            each(&morsel, &outputs)?;
        }
    }
    Ok(())
}

/// The rows with the watched columns of their answers.
fn with_answers(
    morsel: &Table<'_>,
    columns: &[OutputColumn],
    outputs: &[Tensor],
    take: impl FnOnce(&Table<'_>) -> Result<()>,
) -> Result<()> {
    let bufs: Vec<ColumnBuf> = columns
        .iter()
        .map(|column| column.read(outputs))
        .collect::<Result<_>>()?;
    let mut all = morsel.columns().to_vec();
    all.extend(bufs.iter().map(ColumnBuf::view));
    take(&Table::new(all, morsel.rows())?)
}

fn schema_of(columns: &[OutputColumn]) -> Result<Schema> {
    Schema::new(
        columns
            .iter()
            .map(|column| Field::nullable(&column.name, column.dtype))
            .collect(),
    )
}

/// Single rows at even distances over all tables.
fn spread<'a>(sample: &[Table<'a>], rows: usize, count: usize) -> Vec<Table<'a>> {
    let count = count.min(rows);
    let mut picked = Vec::with_capacity(count);
    let mut wanted = (0..count).map(|i| i * rows / count).peekable();
    let mut before = 0;
    for table in sample {
        while let Some(row) = wanted.next_if(|row| *row < before + table.rows()) {
            picked.push(table.slice(row - before, 1));
        }
        before += table.rows();
    }
    picked
}

/// Raw inputs, then what the model says of them.
fn golden_batch(plan: &Plan, executor: &mut Executor, table: &Table<'_>) -> Result<RecordBatch> {
    table.check(plan.input_schema())?;
    let outputs = run_table(plan, table, executor)?;
    let (schema, columns) = output_columns(&outputs)?;
    let mut fields = plan.input_schema().fields().to_vec();
    for field in schema.fields() {
        fields.push(Field::nullable(
            format!("{PREFIX}{}", field.name),
            field.dtype,
        ));
    }
    let columns = columns.view()?;
    let mut all = table.columns().to_vec();
    all.extend_from_slice(columns.columns());
    let schema = Schema::new(fields).map_err(|error| {
        error.at(format!(
            "a raw column may not be named {PREFIX}… like an output"
        ))
    })?;
    record_batch(&Table::new(all, table.rows())?, &schema)
}

fn unwritten(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!("{name} cannot be written: {error}"),
    )
}

/// Rows in one batch: each batch of an Arrow file costs a kilobyte.
fn together(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let Some(first) = batches.first() else {
        return Err(unwritten("golden.arrow", &"there are no golden rows"));
    };
    concat_batches(&first.schema(), batches).map_err(|error| unwritten("golden.arrow", &error))
}

fn write_arrow(path: &Path, batch: &RecordBatch) -> Result<()> {
    let fail = |error: &dyn std::fmt::Display| unwritten("golden.arrow", error);
    let file = File::create(path).map_err(|e| fail(&e))?;
    let mut writer =
        FileWriter::try_new(BufWriter::new(file), &batch.schema()).map_err(|e| fail(&e))?;
    writer.write(batch).map_err(|e| fail(&e))?;
    writer.finish().map_err(|e| fail(&e))
}
