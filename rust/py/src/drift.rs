//! Baselines and monitors over Arrow tables, for those who watch without the runtime.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use tidegate_drift as drift;
use tidegate_schema::{Error, Field, Result, Schema};

use crate::arrow::import;
use crate::enter::run;
use crate::watching::Watching;

/// Frozen cells and counts of watched columns.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Baseline(Arc<drift::Baseline>);

/// The watched columns as a schema: features, then predictions.
fn schema(baseline: &drift::Baseline) -> Result<Schema> {
    let columns = baseline.columns().iter();
    Schema::new(
        columns
            .map(|column| Field::nullable(column.name.clone(), column.dtype))
            .collect(),
    )
}

#[pymethods]
impl Baseline {
    #[new]
    #[pyo3(signature = (table, predictions, bins=None, segment=None))]
    fn new(
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        predictions: Vec<String>,
        bins: Option<usize>,
        segment: Option<&str>,
    ) -> PyResult<Self> {
        let batches = import(table)?;
        let baseline = run(py, || {
            let all = batches.infer()?;
            let outputs = predictions
                .iter()
                .map(|name| all.resolve(name))
                .collect::<Result<Vec<_>>>()?;
            let inputs: Vec<usize> = (0..all.len()).filter(|i| !outputs.contains(i)).collect();
            let order = all.select(&[inputs.as_slice(), &outputs].concat())?;
            let mut builder =
                drift::BaselineBuilder::new(&all.select(&inputs)?, &all.select(&outputs)?)?;
            if let Some(bins) = bins {
                builder = builder.with_bins(bins)?;
            }
            batches.for_each(&order, |table| builder.update(table))?;
            let baseline = builder.finish()?;
            let Some(column) = segment else {
                return Ok(baseline);
            };
            let segments = drift::Segments::new(&baseline, column)?;
            let mut parts = Vec::new();
            batches.for_each(&order, |table| segments.take(&baseline, table, &mut parts))?;
            baseline.with_segments(segments, parts)
        })?;
        Ok(Self(Arc::new(baseline)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let baseline = run(py, || drift::Baseline::from_json(text))?;
        Ok(Self(Arc::new(baseline)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(self.0.to_json()))
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows()
    }
}

/// Windows of live rows over a baseline.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Monitor {
    schema: Schema,
    inner: Mutex<drift::Monitor>,
}

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, drift::Monitor> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Monitor {
    #[new]
    #[pyo3(signature = (baseline, now, watching=None, history=None))]
    fn new(
        py: Python<'_>,
        baseline: &Baseline,
        now: f64,
        watching: Option<Watching>,
        history: Option<usize>,
    ) -> PyResult<Self> {
        let watching = watching.unwrap_or_default();
        let windows = watching.windows(drift::Windows::default());
        let alarms = watching.alarms(&drift::AlarmOptions::default());
        run(py, || {
            let mut monitor =
                drift::Monitor::new(Arc::clone(&baseline.0), windows, now)?.with_alarms(alarms)?;
            if let Some(history) = history {
                monitor = monitor.with_history(history)?;
            }
            if let Some(column) = watching.segment() {
                monitor = monitor.with_segments(column)?;
            }
            Ok(Self {
                schema: schema(&baseline.0)?,
                inner: Mutex::new(monitor),
            })
        })
    }

    fn observe(&self, py: Python<'_>, table: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let batches = import(table)?;
        run(py, || {
            let names = batches.names();
            for field in self.schema.fields() {
                // A table without a column is a mistake here, though its values may be missing.
                if !names.contains(&field.name.as_str()) {
                    return Err(Error::invalid(format!(
                        "the table has no column {:?}, which is watched: pass every column of the baseline",
                        field.name
                    )));
                }
            }
            let mut monitor = self.lock();
            batches.for_each(&self.schema, |table| monitor.observe(table, now))
        })
    }

    #[pyo3(signature = (now, label=None))]
    fn close(&self, py: Python<'_>, now: f64, label: Option<&str>) -> PyResult<bool> {
        run(py, || self.lock().close(now, label))
    }

    fn snapshot(&self, py: Python<'_>, now: f64) -> PyResult<String> {
        run(py, || Ok(self.lock().snapshot(now)))
    }

    /// A monitor of the windows of several.
    #[staticmethod]
    #[pyo3(signature = (baseline, snapshots, watching=None))]
    fn merged(
        py: Python<'_>,
        baseline: &Baseline,
        snapshots: Vec<String>,
        watching: Option<Watching>,
    ) -> PyResult<Self> {
        let watching = watching.unwrap_or_default();
        let windows = watching.windows(drift::Windows::default());
        let alarms = watching.alarms(&drift::AlarmOptions::default());
        run(py, || {
            let read = |text: &String| drift::Snapshot::from_json(&baseline.0, text);
            let snapshots: Vec<drift::Snapshot> =
                snapshots.iter().map(read).collect::<Result<_>>()?;
            let merged =
                drift::Snapshot::merge(Arc::clone(&baseline.0), windows, alarms, &snapshots)?;
            Ok(Self {
                schema: schema(&baseline.0)?,
                inner: Mutex::new(merged),
            })
        })
    }

    #[pyo3(signature = (now, segment=None))]
    fn report(&self, py: Python<'_>, now: f64, segment: Option<&str>) -> PyResult<String> {
        run(py, || {
            self.lock().advance(now);
            // Made from a copy: threads that observe do not wait for it.
            let mut monitor = self.lock().clone();
            match segment {
                Some(segment) => Ok(monitor.report_of(segment, now)?.to_json()),
                None => Ok(monitor.report(now).to_json()),
            }
        })
    }
}
