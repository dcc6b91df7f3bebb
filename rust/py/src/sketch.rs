//! The mergeable summaries on NumPy arrays and lists of text.
//!
//! Each class holds its summary behind a lock that is taken with the interpreter released, so
//! that threads may share one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use tidegate_schema::{Error, ErrorKind, Result};
use tidegate_sketch as sketch;

use crate::enter::{run, run_attached};
use crate::errors::raise;

/// A summary's error as the shared one.
fn lift(error: sketch::Error) -> Error {
    let kind = match error.kind {
        sketch::ErrorKind::Argument => ErrorKind::InvalidInput,
        sketch::ErrorKind::Limit => ErrorKind::TooLarge,
        sketch::ErrorKind::State => ErrorKind::State,
    };
    Error::new(kind, error.message)
}

/// What a panicking update left is still a summary, so a poisoned lock is taken as it is.
fn lock<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The values of an array; an error when they do not lie one after the other.
fn slice<'a>(values: &'a PyReadonlyArray1<'_, f64>) -> PyResult<&'a [f64]> {
    values.as_slice().map_err(|_| {
        raise(Error::invalid(
            "the array is not contiguous: pass numpy.ascontiguousarray(values)",
        ))
    })
}

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

/// Quantiles, exact up to a bound.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Quantiles(Mutex<sketch::Quantiles>);

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

/// Counts of texts.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Frequencies(Mutex<sketch::Frequencies>);

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

    fn update(&self, py: Python<'_>, values: Vec<Option<PyBackedStr>>) -> PyResult<()> {
        run(py, || {
            let mut frequencies = lock(&self.0);
            values.iter().try_for_each(|value| match value {
                Some(text) => frequencies.update(text).map_err(lift),
                None => {
                    frequencies.update_missing(1);
                    Ok(())
                }
            })
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

/// Counts between fixed edges.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Histogram(Mutex<sketch::Histogram>);

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
