//! Quantiles with a bounded relative error.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::sketch::{lift, lock, slice};

/// Quantiles off by at most a share of their value.
#[pyclass(module = "tidegate._core", frozen)]
pub struct RelativeQuantiles(Mutex<sketch::RelativeQuantiles>);

#[pymethods]
impl RelativeQuantiles {
    #[new]
    #[pyo3(signature = (accuracy=None, limit=None))]
    fn new(accuracy: Option<f64>, limit: Option<usize>) -> PyResult<Self> {
        let accuracy = accuracy.unwrap_or(sketch::RELATIVE_ACCURACY);
        let limit = limit.unwrap_or(sketch::RELATIVE_CELLS);
        let made = run_attached(|| {
            sketch::RelativeQuantiles::with_accuracy(accuracy, limit).map_err(lift)
        })?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || {
            sketch::RelativeQuantiles::from_json(text).map_err(lift)
        })?;
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
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    fn quantiles(&self, py: Python<'_>, shares: Vec<f64>) -> PyResult<Option<Vec<f64>>> {
        run(py, || lock(&self.0).quantiles(&shares).map_err(lift))
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
    fn infinite(&self) -> (u64, u64) {
        lock(&self.0).infinite()
    }

    #[getter]
    fn accuracy(&self) -> f64 {
        lock(&self.0).accuracy()
    }

    #[getter]
    fn gathered(&self) -> u64 {
        lock(&self.0).gathered()
    }
}
