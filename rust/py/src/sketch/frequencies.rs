//! Exact counts of texts.

use std::sync::Mutex;

use pyo3::prelude::*;
use tidegate_sketch as sketch;

use crate::arrow::Texts;
use crate::enter::{run, run_attached};
use crate::sketch::{lift, lock};

/// Counts of texts.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Frequencies(pub(crate) Mutex<sketch::Frequencies>);

#[pymethods]
impl Frequencies {
    #[new]
    #[pyo3(signature = (limit=None, gather=false))]
    fn new(limit: Option<usize>, gather: bool) -> PyResult<Self> {
        let limit = limit.unwrap_or(sketch::DISTINCT_LIMIT);
        let overflow = if gather {
            sketch::Overflow::Other
        } else {
            sketch::Overflow::Refuse
        };
        let made = run_attached(|| sketch::Frequencies::new(limit, overflow).map_err(lift))?;
        Ok(Self(Mutex::new(made)))
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = run(py, || sketch::Frequencies::from_json(text).map_err(lift))?;
        Ok(Self(Mutex::new(read)))
    }

    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(lock(&self.0).to_json()))
    }

    fn update(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let texts = Texts::of(values)?;
        run(py, || {
            let mut frequencies = lock(&self.0);
            texts.for_each(|text| frequencies.update_many([text]).map_err(lift))
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = lock(&other.0).clone();
            lock(&self.0).merge(&other).map_err(lift)
        })
    }

    fn sorted(&self, py: Python<'_>) -> PyResult<Vec<(String, u64)>> {
        run(py, || {
            let frequencies = lock(&self.0);
            let pairs = frequencies.sorted().into_iter();
            Ok(pairs.map(|(text, n)| (text.to_owned(), n)).collect())
        })
    }

    fn get(&self, text: &str) -> u64 {
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
    fn other(&self) -> u64 {
        lock(&self.0).other()
    }

    #[getter]
    fn distinct(&self) -> usize {
        lock(&self.0).distinct()
    }
}
