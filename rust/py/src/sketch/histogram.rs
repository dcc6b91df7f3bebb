//! Counts between fixed edges.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_schema::Result;
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::sketch::{lift, lock, slice};

/// Counts between fixed edges.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Histogram(pub(crate) Mutex<sketch::Histogram>);

#[pymethods]
impl Histogram {
    #[new]
    fn new(edges: Vec<f64>) -> PyResult<Self> {
        let made = run_attached(|| sketch::Histogram::new(edges).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Histogram::from_json(text).map_err(lift))?;
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
        run(py, || -> Result<()> {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    #[getter]
    fn edges(&self) -> Vec<f64> {
        lock(&self.0).edges().to_vec()
    }

    #[getter]
    fn counts(&self) -> Vec<u64> {
        lock(&self.0).counts().to_vec()
    }

    #[getter]
    fn below(&self) -> u64 {
        lock(&self.0).below()
    }

    #[getter]
    fn above(&self) -> u64 {
        lock(&self.0).above()
    }

    #[getter]
    fn missing(&self) -> u64 {
        lock(&self.0).missing()
    }
}
