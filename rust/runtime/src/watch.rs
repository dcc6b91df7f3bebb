//! What is watched of one model: its input columns and the columns of its answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tidegate_drift::{Baseline, Monitor, Report, Role, WindowReport, Windows};
use tidegate_schema::{ColumnBuf, DType, Error, Result, Schema, Table, TableBuf, Tensor};

use crate::output::{OutputColumn, layout};

/// The monitor of one loaded model.
#[derive(Debug)]
pub(crate) struct Watch {
    monitor: Mutex<Monitor>,
    /// Name and type of each watched column of the answer.
    predictions: Vec<(String, DType)>,
    /// Where they are in the outputs: known when the first answer has come.
    columns: OnceLock<Vec<OutputColumn>>,
    /// Rows that were not watched.
    dropped: AtomicU64,
}

impl Watch {
    /// # Errors
    /// `State` when the baseline's features are not the columns of the schema.
    pub fn new(
        baseline: Arc<Baseline>,
        schema: &Schema,
        windows: Windows,
        now: f64,
    ) -> Result<Self> {
        let of = |role: Role| {
            baseline
                .columns()
                .iter()
                .filter(move |column| column.role == role)
                .map(|column| (column.name.clone(), column.dtype))
        };
        let fields = schema.fields().iter();
        if !of(Role::Feature).eq(fields.map(|field| (field.name.clone(), field.dtype))) {
            return Err(Error::state(
                "baseline.json has other columns than schema.json: build the bundle again",
            ));
        }
        let predictions = of(Role::Prediction).collect();
        Ok(Self {
            monitor: Mutex::new(Monitor::new(baseline, windows, now)?),
            predictions,
            columns: OnceLock::new(),
            dropped: AtomicU64::new(0),
        })
    }

    fn monitor(&self) -> MutexGuard<'_, Monitor> {
        // A monitor counts: one that panicked half-way has counted half a table, not broken.
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watched columns of an answer.
    pub fn read(&self, outputs: &[Tensor]) -> Result<TableBuf> {
        let columns = match self.columns.get() {
            Some(columns) => columns,
            None => {
                let found = self.resolve(outputs)?;
                self.columns.get_or_init(|| found)
            }
        };
        let columns = columns.iter().map(|column| column.read(outputs));
        Ok(TableBuf {
            columns: columns.collect::<Result<_>>()?,
        })
    }

    fn resolve(&self, outputs: &[Tensor]) -> Result<Vec<OutputColumn>> {
        let given = layout(outputs)?;
        let find = |(name, dtype): &(String, DType)| {
            given
                .iter()
                .find(|column| column.name == *name && column.dtype == *dtype)
                .cloned()
                .ok_or_else(|| {
                    Error::state(format!(
                        "baseline.json watches {name:?} as {dtype}, which the model does not give: build the bundle again"
                    ))
                })
        };
        self.predictions.iter().map(find).collect()
    }

    /// Counts rows; what cannot be counted is dropped, and that is counted.
    pub fn observe(&self, inputs: &Table<'_>, answers: &TableBuf, now: f64) {
        let mut columns = inputs.columns().to_vec();
        columns.extend(answers.columns.iter().map(ColumnBuf::view));
        let counted = Table::new(columns, inputs.rows())
            .and_then(|table| self.monitor().observe(&table, now));
        if counted.is_err() {
            self.drop_rows(inputs.rows());
        }
    }

    pub fn drop_rows(&self, rows: usize) {
        self.dropped.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn report(&self, now: f64) -> Report {
        self.monitor().report(now)
    }

    pub fn close(&self, now: f64, label: Option<&str>) -> Result<bool> {
        self.monitor().close(now, label)
    }

    pub fn latest(&self, now: f64) -> Option<WindowReport> {
        self.monitor().latest(now)
    }
}
