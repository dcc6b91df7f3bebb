//! Counts of distinct values.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::arrow::Texts;
use crate::enter::{run, run_attached};
use crate::errors::raise;
use crate::sketch::{lift, lock, slice};

/// About how many distinct values there were.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Distinct(Mutex<sketch::Distinct>);

#[pymethods]
impl Distinct {
    #[new]
    #[pyo3(signature = (precision=None))]
    fn new(precision: Option<u8>) -> PyResult<Self> {
        let precision = precision.unwrap_or(sketch::PRECISION);
        let made = run_attached(|| sketch::Distinct::with_precision(precision).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Distinct::from_json(text).map_err(lift))?;
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

    fn update_integers(&self, py: Python<'_>, values: PyReadonlyArray1<'_, i64>) -> PyResult<()> {
        let values = values.as_slice().map_err(|_| raise(super::apart()))?;
        run(py, || {
            lock(&self.0).update_integers(values);
            Ok(())
        })
    }

    fn update_texts(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let texts = Texts::of(values)?;
        run(py, || {
            let mut distinct = lock(&self.0);
            texts.for_each(|text| {
                match text {
                    Some(text) => distinct.update_text(text),
                    None => distinct.update_missing(1),
                }
                Ok(())
            })
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    #[getter]
    fn estimate(&self) -> f64 {
        lock(&self.0).estimate()
    }

    #[getter]
    fn standard_error(&self) -> f64 {
        lock(&self.0).standard_error()
    }

    #[getter]
    fn missing(&self) -> u64 {
        lock(&self.0).missing()
    }

    #[getter]
    fn precision(&self) -> u8 {
        lock(&self.0).precision()
    }
}
