//! What becomes of the rows of one model once they are answered: they are watched for drift, wait
//! for their labels, and are written down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tidegate_drift::quality::Task;
use tidegate_predictionlog::log::{Answered, Log, Source};
use tidegate_schema::{Field, Result, Schema, Table, TableBuf, Tensor};

use crate::comparison::Side;
use crate::feedback::Follow;
use crate::output::{OutputColumn, layout, watched};
use crate::watch::Watch;

/// Writes down the predictions of one model.
#[derive(Debug)]
pub(crate) struct Tap {
    log: Arc<Log>,
    source: Arc<Source>,
    columns: OnceLock<Arc<Schema>>,
}

impl Tap {
    pub fn new(log: &Arc<Log>, source: Source) -> Self {
        Self {
            log: Arc::clone(log),
            source: Arc::new(source),
            columns: OnceLock::new(),
        }
    }

    fn columns(&self, columns: &[OutputColumn]) -> Result<&Arc<Schema>> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns);
        }
        let field = |column: &OutputColumn| Field::nullable(&column.name, column.dtype);
        let found = Schema::new(columns.iter().map(field).collect())?;
        Ok(self.columns.get_or_init(|| Arc::new(found)))
    }
}

/// What becomes of the rows of one loaded model.
#[derive(Debug)]
pub(crate) struct Observed {
    watch: Option<Watch>,
    follow: Option<Follow>,
    tap: Option<Tap>,
    /// Of two probabilities only the second is read.
    binary: bool,
    /// Where the columns of an answer are: known when the first has come.
    columns: OnceLock<Arc<[OutputColumn]>>,
    /// Rows that found no room to be observed.
    dropped: AtomicU64,
}

impl Observed {
    pub fn new(
        watch: Option<Watch>,
        follow: Option<Follow>,
        tap: Option<Tap>,
        binary: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            watch,
            follow,
            tap,
            binary,
            columns: OnceLock::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// Is anything done with each answer?
    pub const fn is_busy(&self) -> bool {
        self.watch.is_some() || self.follow.is_some() || self.tap.is_some()
    }

    /// What is predicted, where labels are held against it.
    pub fn task(&self) -> Option<&Task> {
        self.follow.as_ref().map(Follow::task)
    }

    /// The columns of an answer; none before the first.
    pub fn known_columns(&self) -> Arc<[OutputColumn]> {
        self.columns.get().cloned().unwrap_or_default()
    }

    pub const fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// The numbers of each row that are kept for labels.
    pub fn numbers(&self, columns: &[OutputColumn], answers: &TableBuf) -> Option<Vec<f64>> {
        self.follow.as_ref()?.values(columns, answers)
    }

    pub const fn is_followed(&self) -> bool {
        self.follow.is_some()
    }

    fn columns(&self, outputs: &[Tensor]) -> Result<&[OutputColumn]> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns);
        }
        let found = watched(layout(outputs)?, outputs, self.binary);
        Ok(self.columns.get_or_init(|| found.into()))
    }

    /// The values of an answer, column by column.
    pub fn read(&self, outputs: &[Tensor]) -> Result<TableBuf> {
        let columns = self.columns(outputs)?.iter();
        Ok(TableBuf {
            columns: columns
                .map(|column| column.read(outputs))
                .collect::<Result<_>>()?,
        })
    }

    /// Takes in answered rows, of a version that is compared with others if there is a `side`. `inputs`
    /// is `None` for a model that takes tensors.
    pub fn count(
        &self,
        side: Option<&Side>,
        inputs: Option<&Table<'_>>,
        answers: &TableBuf,
        seen: &[Answered],
    ) {
        let columns = self.columns.get().map(|all| &**all).unwrap_or_default();
        let time = seen.last().map_or(0.0, |last| last.time);
        if let (Some(watch), Some(inputs)) = (&self.watch, inputs) {
            watch.observe(inputs, columns, answers, time);
        }
        let joined = side.map(|side| side.answered(inputs, columns, answers, seen));
        if let Some(follow) = &self.follow {
            let marks = seen.iter().map(Answered::mark).collect();
            follow.predicted(columns, inputs, answers, marks, joined);
        }
    }

    /// Is anything written down of this model?
    pub const fn is_logged(&self) -> bool {
        self.tap.is_some()
    }

    /// Hands answered rows over to be written down.
    pub fn write(&self, inputs: Option<TableBuf>, answers: TableBuf, seen: Vec<Answered>) {
        let Some(tap) = &self.tap else { return };
        let columns = self.columns.get().map(|all| &**all).unwrap_or_default();
        if let Ok(columns) = tap.columns(columns) {
            tap.log
                .predictions(&tap.source, columns, inputs, answers, seen);
        }
    }

    pub fn drop_rows(&self, rows: usize) {
        self.dropped.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Rows that were not observed.
    pub fn dropped(&self) -> u64 {
        let unwatched = self.watch.as_ref().map_or(0, Watch::dropped);
        self.dropped.load(Ordering::Relaxed) + unwatched
    }
}
