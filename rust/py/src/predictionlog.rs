//! The prediction log for the thread that stores its files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tidegate_runtime::log::{Log, QUEUE_BYTES, Rotation, Rules, Sealed};
use tidegate_schema::Error;

use crate::enter::run;
use crate::errors::raise;

/// What is asked and answered, as Parquet files on their way to storage.
#[pyclass(module = "tidegate._core", frozen)]
pub struct PredictionLog(Arc<Log>);

impl PredictionLog {
    /// The core's log, for the runtime that writes into it.
    pub fn core(&self) -> Arc<Log> {
        Arc::clone(&self.0)
    }
}

/// One complete file.
#[pyclass(module = "tidegate._core", frozen)]
pub struct LogFile {
    key: String,
    rows: usize,
    sealed: Mutex<Option<Sealed>>,
}

#[pymethods]
impl PredictionLog {
    /// `process` is in each file's name, and no other process has it.
    #[new]
    #[pyo3(signature = (process, *, sample=None, shares=None, slower=None, redact=None, hashed=None,
                        key=None, file_bytes=None, file_seconds=None, queue_bytes=None))]
    #[allow(clippy::too_many_arguments)] // Each stands alone, and all have names.
    fn new(
        process: String,
        sample: Option<f64>,
        shares: Option<Vec<(String, f64)>>,
        slower: Option<f64>,
        redact: Option<Vec<String>>,
        hashed: Option<Vec<String>>,
        key: Option<Vec<u8>>,
        file_bytes: Option<usize>,
        file_seconds: Option<f64>,
        queue_bytes: Option<usize>,
    ) -> PyResult<Self> {
        let mut rules = Rules::default();
        rules.sample = sample.unwrap_or(rules.sample);
        rules.shares = shares.unwrap_or_default();
        rules.slower = slower;
        rules.redact = redact.unwrap_or_default();
        rules.hash = hashed.unwrap_or_default();
        if let Some(key) = key {
            rules = rules.with_key(&key).map_err(raise)?;
        }
        let mut rotation = Rotation::default();
        rotation.bytes = file_bytes.unwrap_or(rotation.bytes);
        if let Some(seconds) = file_seconds {
            rotation.age = Duration::try_from_secs_f64(seconds).map_err(|_| {
                raise(Error::invalid(format!(
                    "files of the log of {seconds} seconds: give a number above 0"
                )))
            })?;
        }
        let limit = queue_bytes.unwrap_or(QUEUE_BYTES);
        let log = Log::new(rules, rotation, limit, process).map_err(raise)?;
        Ok(Self(Arc::new(log)))
    }

    /// The next complete file; `None` when there is none within so many seconds.
    fn next(&self, py: Python<'_>, patience: f64) -> PyResult<Option<LogFile>> {
        let patience = Duration::try_from_secs_f64(patience).unwrap_or_default();
        let sealed = run(py, || Ok(self.0.next(patience)))?;
        Ok(sealed.map(|sealed| LogFile {
            key: sealed.key.clone(),
            rows: sealed.rows,
            sealed: Mutex::new(Some(sealed)),
        }))
    }

    /// Takes nothing more; what waits comes out of `next` still.
    fn close(&self) {
        self.0.close();
    }

    /// Files stored, rows in them, rows dropped, bytes that wait.
    fn statistics(&self) -> (u64, u64, u64, usize) {
        let found = self.0.statistics();
        (found.files, found.rows, found.dropped, found.waiting_bytes)
    }
}

#[pymethods]
impl LogFile {
    /// Its key below the log's place.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// Rows in it.
    #[getter]
    fn rows(&self) -> usize {
        self.rows
    }

    /// The whole file; empty once it is stored.
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        PyBytes::new(py, sealed.as_ref().map_or(&[], |sealed| &sealed.bytes))
    }

    /// It is stored. What is never stored counts as dropped once nobody holds it.
    fn stored(&self) {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sealed) = sealed.take() {
            sealed.stored();
        }
    }
}
