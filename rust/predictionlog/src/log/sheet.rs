//! One Parquet file in the making.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema as ArrowSchema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tidegate_schema::arrow::record_batch;
use tidegate_schema::{Error, Result, Schema, Table};

use super::entry::{Answered, Entry, Feedback, Source};
use super::rules::{Rules, text};

/// A file in the making.
pub(super) struct Sheet {
    writer: ArrowWriter<Vec<u8>>,
    pub rows: usize,
    /// Bytes that were handed over for it.
    pub bytes: usize,
    pub begun: Instant,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("a file of the prediction log: {error}"))
}

impl Sheet {
    pub fn new(schema: Arc<ArrowSchema>) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(failed)?;
        Ok(Self {
            writer,
            rows: 0,
            bytes: 0,
            begun: Instant::now(),
        })
    }

    pub fn write(&mut self, batch: &RecordBatch, bytes: usize) -> Result<()> {
        self.writer.write(batch).map_err(failed)?;
        self.rows += batch.num_rows();
        self.bytes += bytes;
        Ok(())
    }

    /// Bytes that the file has so far, roughly.
    pub fn written(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The whole file.
    pub fn seal(self) -> Result<Vec<u8>> {
        self.writer.into_inner().map_err(failed)
    }
}

/// An entry as columns.
pub(super) fn batch(entry: &Entry, rules: &Rules) -> Result<RecordBatch> {
    let (fields, arrays) = match entry {
        Entry::Predictions {
            source,
            inputs,
            answers,
            columns,
            answered,
        } => {
            let mut page = Page::default();
            page.envelope(source, answered, rules);
            if let (Some(inputs), Some(features)) = (inputs, &source.features) {
                page.table(&inputs.view()?, features, "feature", rules)?;
            }
            page.table(&answers.view()?, columns, "prediction", rules)?;
            (page.fields, page.arrays)
        }
        Entry::Feedback { time, rows, .. } => {
            let mut page = Page::default();
            page.feedback(*time, rows);
            (page.fields, page.arrays)
        }
    };
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).map_err(failed)
}

#[derive(Default)]
struct Page {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

impl Page {
    fn add(&mut self, name: &str, array: impl Array + 'static) {
        let kind = array.data_type().clone();
        self.fields.push(Field::new(name, kind, true));
        self.arrays.push(Arc::new(array));
    }

    fn envelope(&mut self, source: &Source, answered: &[Answered], rules: &Rules) {
        let each = || {
            let one = |one| std::iter::repeat_n(one, Answered::rows_of(one));
            answered.iter().flat_map(one)
        };
        // Arrow wants to know how many texts there will be.
        let ids: Vec<String> = answered
            .iter()
            .flat_map(|one| std::iter::repeat_n(one.id.text(), Answered::rows_of(one)))
            .collect();
        self.add("prediction_id", StringArray::from(ids));
        let rows = answered
            .iter()
            .flat_map(|one| (0..i64::from(one.rows)).map(|row| i64::from(one.first_row) + row));
        self.add("row", Int64Array::from_iter_values(rows));
        let times = each().map(|one| micros(one.time));
        let times = TimestampMicrosecondArray::from_iter_values(times);
        self.add("time", times.with_timezone("UTC"));
        let versions: Vec<&str> = each().map(|_| source.version.as_str()).collect();
        self.add("version", StringArray::from(versions));
        let revisions = each().map(|one| i64::try_from(one.revision).unwrap_or(i64::MAX));
        self.add("revision", Int64Array::from_iter_values(revisions));
        let experiments = each().map(|one| one.experiment.as_deref());
        self.add("experiment", StringArray::from_iter(experiments));
        let roles = each().map(|one| one.role);
        self.add("role", StringArray::from_iter(roles));
        let latencies = each().map(|one| one.latency.as_secs_f64() * 1e3);
        self.add("latency_ms", Float64Array::from_iter_values(latencies));
        if rules.redacts("caller") {
            return;
        }
        let callers = each().map(|one| one.caller.as_deref());
        if rules.hashes("caller") {
            let hashed = callers.map(|caller| caller.map(|caller| rules.hashed(caller)));
            self.add("caller", StringArray::from_iter(hashed));
        } else {
            self.add("caller", StringArray::from_iter(callers));
        }
    }

    /// Columns of a table under a prefix, so that a feature never has the name of another column.
    fn table(
        &mut self,
        table: &Table<'_>,
        schema: &Schema,
        prefix: &str,
        rules: &Rules,
    ) -> Result<()> {
        let batch = record_batch(table, schema)?;
        let columns = schema.fields().iter().zip(table.columns());
        for ((field, column), array) in columns.zip(batch.columns()) {
            if rules.redacts(&field.name) {
                continue;
            }
            let name = format!("{prefix}_{}", plain(&field.name));
            if rules.hashes(&field.name) {
                let texts = (0..table.rows()).map(|row| text(column, row));
                let hashed = texts.map(|text| text.map(|text| rules.hashed(&text)));
                self.add(&name, StringArray::from_iter(hashed));
            } else {
                let kind = array.data_type().clone();
                self.fields.push(Field::new(name, kind, true));
                self.arrays.push(Arc::clone(array));
            }
        }
        Ok(())
    }

    fn feedback(&mut self, time: f64, rows: &[Feedback]) {
        let ids = rows.iter().map(|row| row.id.text());
        self.add("prediction_id", StringArray::from_iter_values(ids));
        let places = rows.iter().map(|row| i64::from(row.row));
        self.add("row", Int64Array::from_iter_values(places));
        let times = rows.iter().map(|_| micros(time));
        let times = TimestampMicrosecondArray::from_iter_values(times);
        self.add("time", times.with_timezone("UTC"));
        let labels = rows.iter().map(|row| row.label.as_deref());
        self.add("label", StringArray::from_iter(labels));
        let named = || rows.iter().map(|row| row.metric.as_ref());
        let names = named().map(|metric| metric.map(|(name, _)| name.as_str()));
        self.add("metric", StringArray::from_iter(names));
        let values = named().map(|metric| metric.map(|(_, value)| *value));
        self.add("value", Float64Array::from_iter(values));
        let outcomes = rows.iter().map(|row| row.outcome);
        self.add("outcome", StringArray::from_iter_values(outcomes));
    }
}

impl Answered {
    fn rows_of(one: &Self) -> usize {
        one.rows as usize
    }
}

/// `probabilities[1]` as `probabilities_1`, which needs no quotes in SQL.
fn plain(name: &str) -> String {
    name.replace('[', "_").replace(']', "")
}
