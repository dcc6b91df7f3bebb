//! What is watched of one model: its input columns and the columns of its answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tidegate_drift::{AlarmOptions, Baseline, Monitor, Report, Role, Snapshot, WindowReport};
use tidegate_schema::{ColumnBuf, DType, Error, Result, Schema, Table, TableBuf};

use crate::LoadOptions;
use crate::output::OutputColumn;

/// The monitor of one loaded model.
#[derive(Debug)]
pub(crate) struct Watch {
    monitor: Mutex<Monitor>,
    /// Name and type of each watched column of the answer.
    predictions: Vec<(String, DType)>,
    /// Where they are among the columns of an answer: known when the first has come.
    places: OnceLock<Vec<usize>>,
    /// Rows that were not watched.
    dropped: AtomicU64,
}

impl Watch {
    /// # Errors
    /// `State` when the baseline's features are not the columns of the schema.
    pub fn new(
        baseline: Arc<Baseline>,
        schema: &Schema,
        segment: Option<&str>,
        options: &LoadOptions,
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
                "the baseline has other columns than schema.json: build the bundle again, or compare with a version of the same columns",
            ));
        }
        let predictions = of(Role::Prediction).collect();
        // Of the columns that are named for all models, those of this one.
        let mut alarms: AlarmOptions = options.alarms.clone();
        let columns = baseline.columns();
        let watched = |name: &String| columns.iter().any(|column| column.name == *name);
        alarms.ignore.retain(watched);
        let monitor = Monitor::new(Arc::clone(&baseline), options.windows, now)?;
        let mut monitor = monitor.with_alarms(alarms)?;
        if let Some(column) = segment {
            monitor = monitor.with_segments(column)?;
        }
        Ok(Self {
            monitor: Mutex::new(monitor),
            predictions,
            places: OnceLock::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// What is compared with.
    pub fn baseline(&self) -> Arc<Baseline> {
        Arc::clone(self.monitor().baseline())
    }

    fn monitor(&self) -> MutexGuard<'_, Monitor> {
        // A monitor counts: one that panicked half-way has counted half a table, not broken.
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the watched columns are among those of an answer.
    fn places(&self, columns: &[OutputColumn]) -> Result<&[usize]> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let find = |(name, dtype): &(String, DType)| {
            columns
                .iter()
                .position(|column| column.name == *name && column.dtype == *dtype)
                .ok_or_else(|| {
                    Error::state(format!(
                        "baseline.json watches {name:?} as {dtype}, which the model does not give: build the bundle again"
                    ))
                })
        };
        let found = self.predictions.iter().map(find).collect::<Result<_>>()?;
        Ok(self.places.get_or_init(|| found))
    }

    /// Counts rows; what cannot be counted is dropped, and that is counted. `columns` says what
    /// those of the answers are.
    pub fn observe(
        &self,
        inputs: &Table<'_>,
        columns: &[OutputColumn],
        answers: &TableBuf,
        now: f64,
    ) {
        let counted = self.places(columns).and_then(|places| {
            let mut all = inputs.columns().to_vec();
            let found = places
                .iter()
                .filter_map(|place| answers.columns.get(*place));
            all.extend(found.map(ColumnBuf::view));
            let table = Table::new(all, inputs.rows())?;
            self.monitor().observe(&table, now)
        });
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

    /// The monitor as it is now. What takes time is done with the copy, so that rows are counted
    /// meanwhile: intervals of twenty columns take tens of milliseconds.
    fn copy(&self, now: f64) -> Monitor {
        let mut monitor = self.monitor();
        monitor.advance(now);
        monitor.clone()
    }

    /// The report of all rows, or of those of one segment.
    pub fn report(&self, segment: Option<&str>, now: f64) -> Result<Report> {
        report(self.copy(now), segment, now)
    }

    /// The windows as text, for the reports of several replicas as one.
    pub fn snapshot(&self, now: f64) -> String {
        self.copy(now).snapshot(now)
    }

    /// The report of the windows of several replicas; and what is wrong with those that were left out.
    pub fn merged(
        &self,
        texts: &[String],
        segment: Option<&str>,
        now: f64,
    ) -> Result<(Report, Vec<String>)> {
        let (baseline, windows, alarms) = {
            let monitor = self.monitor();
            let alarms = monitor.alarms().options().clone();
            (Arc::clone(monitor.baseline()), monitor.windows(), alarms)
        };
        let (mut snapshots, mut faults) = (Vec::new(), Vec::new());
        for text in texts {
            match Snapshot::from_json(&baseline, text) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(error) => faults.push(error.message),
            }
        }
        let merged = Snapshot::merge(baseline, windows, alarms, &snapshots)?;
        Ok((report(merged, segment, now)?, faults))
    }

    pub fn close(&self, now: f64, label: Option<&str>) -> Result<bool> {
        self.monitor().close(now, label)
    }

    /// The last closed window, and the positions of the columns with an alarm.
    pub fn latest(&self, now: f64) -> Option<(WindowReport, Vec<usize>)> {
        let mut monitor = self.copy(now);
        let window = monitor.latest(now)?;
        Some((window, monitor.alarms().raised()))
    }
}

fn report(mut monitor: Monitor, segment: Option<&str>, now: f64) -> Result<Report> {
    match segment {
        Some(segment) => monitor.report_of(segment, now),
        None => Ok(monitor.report(now)),
    }
}
