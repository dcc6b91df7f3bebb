//! Frequent texts in bounded memory.

use std::sync::Mutex;

use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::arrow::Texts;
use crate::enter::{run, run_attached};
use crate::sketch::{lift, lock};

/// The most frequent texts.
#[pyclass(module = "tidegate._core", frozen)]
pub struct FrequentItems(Mutex<sketch::FrequentItems>);

#[pymethods]
impl FrequentItems {
    #[new]
    #[pyo3(signature = (limit=None))]
    fn new(limit: Option<usize>) -> PyResult<Self> {
        let limit = limit.unwrap_or(sketch::FREQUENT_LIMIT);
        let made = run_attached(|| sketch::FrequentItems::new(limit).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::FrequentItems::from_json(text).map_err(lift))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let texts = Texts::of(values)?;
        run(py, || {
            let mut items = lock(&self.0);
            texts.for_each(|text| {
                items.update_many([text]);
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

    fn sorted(&self, py: Python<'_>) -> PyResult<Vec<(String, u64, u64)>> {
        run(py, || {
            let items = lock(&self.0);
            let sorted = items.sorted().into_iter();
            Ok(sorted
                .map(|(text, low, high)| (text.to_owned(), low, high))
                .collect())
        })
    }

    fn get(&self, text: &str) -> (u64, u64) {
        lock(&self.0).get(text)
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
    fn error(&self) -> u64 {
        lock(&self.0).error()
    }

    #[getter]
    fn length(&self) -> usize {
        lock(&self.0).len()
    }
}
