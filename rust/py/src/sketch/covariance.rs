//! Covariances of columns.

use std::sync::Mutex;

use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::sketch::{fitting, lift, lock, rows};

/// Means and covariances of columns.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Covariance(Mutex<sketch::Covariance>);

#[pymethods]
impl Covariance {
    #[new]
    fn new(columns: usize) -> PyResult<Self> {
        let made = run_attached(|| sketch::Covariance::new(columns).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Covariance::from_json(text).map_err(lift))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, py: Python<'_>, values: PyReadonlyArray2<'_, f64>) -> PyResult<()> {
        let (values, width) = rows(&values)?;
        run(py, || {
            let mut covariance = lock(&self.0);
            fitting(width, covariance.columns())?;
            covariance.update_many(values).map_err(lift)
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    fn means(&self) -> Option<Vec<f64>> {
        lock(&self.0).means().map(<[f64]>::to_vec)
    }

    fn matrix(&self, ddof: u64) -> Option<Vec<f64>> {
        lock(&self.0).matrix(ddof)
    }

    fn correlation(&self) -> Option<Vec<f64>> {
        lock(&self.0).correlation()
    }

    #[getter]
    fn count(&self) -> u64 {
        lock(&self.0).count()
    }

    #[getter]
    fn incomplete(&self) -> u64 {
        lock(&self.0).incomplete()
    }

    #[getter]
    fn columns(&self) -> usize {
        lock(&self.0).columns()
    }
}
