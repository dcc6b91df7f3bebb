//! Moments of numbers.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::enter::run;
use crate::sketch::{lift, lock, slice};

/// Count, mean, variance and range.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Moments(Mutex<sketch::Moments>);

#[pymethods]
impl Moments {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(sketch::Moments::new()))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Moments::from_json(text).map_err(lift))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, py: Python<'_>, values: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let values = slice(&values)?;
        run(py, || {
            lock(&self.0).update_many(values);
            Ok(())
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other);
            Ok(())
        })
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
    fn mean(&self) -> Option<f64> {
        lock(&self.0).mean()
    }

    #[getter]
    fn min(&self) -> Option<f64> {
        lock(&self.0).min()
    }

    #[getter]
    fn max(&self) -> Option<f64> {
        lock(&self.0).max()
    }

    fn variance(&self, ddof: u64) -> Option<f64> {
        lock(&self.0).variance(ddof)
    }

    fn std(&self, ddof: u64) -> Option<f64> {
        lock(&self.0).std(ddof)
    }
}
