//! Quantiles with a bound on the rank.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::enter::run;
use crate::errors::raise;
use crate::sketch::{lift, lock, slice};

/// Quantiles, exact up to a bound.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Quantiles(pub(crate) Mutex<sketch::Quantiles>);

#[pymethods]
impl Quantiles {
    #[new]
    #[pyo3(signature = (exact_limit=None, level_limit=None))]
    fn new(exact_limit: Option<usize>, level_limit: Option<usize>) -> PyResult<Self> {
        let exact = exact_limit.unwrap_or(sketch::EXACT_LIMIT);
        let level = level_limit.unwrap_or_else(|| sketch::LEVEL_LIMIT.min(exact));
        let made = sketch::Quantiles::with_limits(exact, level).map_err(lift);
        Ok(Self(Mutex::new(made.map_err(raise)?)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Quantiles::from_json(text).map_err(lift))?;
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
    fn exact(&self) -> bool {
        lock(&self.0).is_exact()
    }

    #[getter]
    fn rank_error(&self) -> f64 {
        lock(&self.0).rank_error()
    }
}
