//! Uniform samples of rows.

use std::sync::Mutex;

use numpy::{PyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::sketch::{fitting, lift, lock, rows};

/// A uniform sample of rows.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Reservoir(Mutex<sketch::Reservoir>);

#[pymethods]
impl Reservoir {
    #[new]
    fn new(capacity: usize, width: usize, seed: u64) -> PyResult<Self> {
        let made = run_attached(|| sketch::Reservoir::new(capacity, width, seed).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Reservoir::from_json(text).map_err(lift))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, py: Python<'_>, values: PyReadonlyArray2<'_, f64>) -> PyResult<()> {
        let (values, width) = rows(&values)?;
        run(py, || {
            let mut reservoir = lock(&self.0);
            fitting(width, reservoir.width())?;
            reservoir.update_many(values).map_err(lift)
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    /// The sampled rows, one after the other.
    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        let rows = lock(&self.0).rows().concat();
        PyArray1::from_vec(py, rows)
    }

    #[getter]
    fn count(&self) -> u64 {
        lock(&self.0).count()
    }

    #[getter]
    fn capacity(&self) -> usize {
        lock(&self.0).capacity()
    }

    #[getter]
    fn width(&self) -> usize {
        lock(&self.0).width()
    }
}
