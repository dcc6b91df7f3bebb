//! Detectors of change on NumPy and Arrow arrays.

use std::sync::Mutex;

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use tidegate_drift as drift;

use crate::enter::{run, run_attached};
use crate::sketch::{lock, slice};

/// Positions of changes, and of values at which zones of warning begin.
type Positions<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// A detector of change.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Detector(Mutex<drift::Detector>);

#[pymethods]
impl Detector {
    #[new]
    fn new(method: &str, parameters: &str) -> PyResult<Self> {
        let made = run_attached(|| drift::Detector::from_parameters(method, parameters))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || drift::Detector::from_json(text))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, value: f64) -> PyResult<bool> {
        let signal = run_attached(|| lock(&self.0).update(value))?;
        Ok(signal == drift::Signal::Drift)
    }

    fn update_many<'py>(
        &self,
        py: Python<'py>,
        values: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Positions<'py>> {
        let values = slice(&values)?;
        let changes = run(py, || lock(&self.0).update_many(values))?;
        let positions = |list: Vec<usize>| {
            PyArray1::from_vec(py, list.into_iter().map(|at| at as i64).collect())
        };
        Ok((positions(changes.drifts), positions(changes.warnings)))
    }

    fn restart(&self) {
        lock(&self.0).restart();
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        lock(&self.0).figures()
    }

    #[getter]
    fn method(&self) -> &'static str {
        lock(&self.0).method().name()
    }

    #[getter]
    fn drift(&self) -> bool {
        lock(&self.0).signal() == drift::Signal::Drift
    }

    #[getter]
    fn warning(&self) -> bool {
        lock(&self.0).signal() == drift::Signal::Warning
    }

    #[getter]
    fn count(&self) -> u64 {
        lock(&self.0).count()
    }

    #[getter]
    fn missing(&self) -> u64 {
        lock(&self.0).missing()
    }

    #[getter]
    fn infinite(&self) -> u64 {
        lock(&self.0).infinite()
    }

    #[getter]
    fn drifts(&self) -> u64 {
        lock(&self.0).drifts()
    }
}
