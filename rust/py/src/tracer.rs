//! Spans of requests, as Python takes them to export them.

use std::sync::Arc;

use pyo3::prelude::*;
use tidegate_server::Tracer as CoreTracer;

use crate::enter::run;
use crate::errors::raise;

/// Decides which requests get a span, and holds the finished ones; see `tidegate.server`.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Tracer {
    inner: Arc<CoreTracer>,
}

impl Tracer {
    /// The core's own.
    pub fn core(&self) -> Arc<CoreTracer> {
        Arc::clone(&self.inner)
    }
}

#[pymethods]
impl Tracer {
    #[new]
    fn new(ratio: f64) -> PyResult<Self> {
        let inner = Arc::new(CoreTracer::new(ratio).map_err(raise)?);
        Ok(Self { inner })
    }

    /// Takes the oldest finished spans, at most so many, each as OTLP writes it in JSON.
    fn take(&self, py: Python<'_>, most: usize) -> PyResult<Vec<String>> {
        run(py, || Ok(self.inner.take(most)))
    }

    /// Counts spans that were taken: so many arrived, so many did not.
    fn count(&self, arrived: u64, lost: u64) {
        self.inner.count(arrived, lost);
    }
}
