//! Tests that may be looked at at any time, on NumPy arrays.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use tidegate_drift::sequential::{
    CellsDifference, CellsTest as Cells, Difference, Harmless, Mean, Proportion, Quantile, Stream,
    discoveries,
};
use tidegate_schema::{Error, Result};

use crate::enter::run;
use crate::errors::raise;

/// One figure of a stream.
#[derive(Clone)]
enum State {
    Mean(Mean),
    Proportion(Proportion),
    Quantile(Quantile),
    Means(Difference<Mean>),
    Proportions(Difference<Proportion>),
    Quantiles(Difference<Quantile>),
    Cells(CellsDifference),
}

impl State {
    fn stream(&self) -> &dyn Stream {
        match self {
            Self::Mean(mean) => mean,
            Self::Proportion(proportion) => proportion,
            Self::Quantile(quantile) => quantile,
            Self::Means(pair) => pair,
            Self::Proportions(pair) => pair,
            Self::Quantiles(pair) => pair,
            Self::Cells(pair) => pair,
        }
    }
}

fn unlike() -> Error {
    Error::invalid(
        "the two figures are of different kinds: give two means, two proportions or two quantiles",
    )
}

/// What is taken to be harmless, as Python says it: at most, at least, or both.
fn harmless(at_least: Option<f64>, at_most: Option<f64>) -> Result<Harmless> {
    match (at_least, at_most) {
        (None, Some(bound)) => Ok(Harmless::AtMost(bound)),
        (Some(bound), None) => Ok(Harmless::AtLeast(bound)),
        (Some(low), Some(high)) if low <= high => Ok(Harmless::Between(low, high)),
        (Some(low), Some(high)) => Err(Error::invalid(format!(
            "at least {low} and at most {high} is nothing: give a lower end that is not above the upper one"
        ))),
        (None, None) => Err(Error::invalid(
            "no bound of what is harmless: give at_most, at_least, or both",
        )),
    }
}

/// The natural logarithm of the e-value of a level.
fn level(alpha: f64) -> Result<f64> {
    if alpha > 0.0 && alpha < 1.0 {
        Ok((1.0 / alpha).ln())
    } else {
        Err(Error::invalid(format!(
            "alpha is {alpha}: use a number above 0 and below 1"
        )))
    }
}

/// A figure of a stream, or of two.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Sequential(Mutex<State>);

impl Sequential {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(state: State) -> Self {
        Self(Mutex::new(state))
    }
}

#[pymethods]
impl Sequential {
    #[staticmethod]
    fn mean(low: f64, high: f64) -> PyResult<Self> {
        Ok(Self::of(State::Mean(Mean::new(low, high).map_err(raise)?)))
    }

    #[staticmethod]
    fn proportion() -> Self {
        Self::of(State::Proportion(Proportion::new()))
    }

    #[staticmethod]
    fn quantile(level: f64) -> PyResult<Self> {
        let quantile = Quantile::new(level).map_err(raise)?;
        Ok(Self::of(State::Quantile(quantile)))
    }

    #[staticmethod]
    fn difference(base: &Self, live: &Self) -> PyResult<Self> {
        let (base, live) = (base.lock().clone(), live.lock().clone());
        Ok(Self::of(match (base, live) {
            (State::Mean(base), State::Mean(live)) => State::Means(Difference::new(base, live)),
            (State::Proportion(base), State::Proportion(live)) => {
                State::Proportions(Difference::new(base, live))
            }
            (State::Quantile(base), State::Quantile(live)) => {
                State::Quantiles(Difference::new(base, live))
            }
            _ => return Err(raise(unlike())),
        }))
    }

    #[staticmethod]
    fn cells(base: Vec<u64>, live: Vec<u64>) -> PyResult<Self> {
        if base.len() != live.len() || base.len() < 2 {
            return Err(raise(Error::invalid(format!(
                "{} and {} counts: give both streams one count for each of the same two cells or more",
                base.len(),
                live.len()
            ))));
        }
        Ok(Self::of(State::Cells(CellsDifference::new(&base, &live))))
    }

    #[staticmethod]
    fn from_json(kind: &str, text: &str) -> PyResult<Self> {
        let read = match kind {
            "mean" => Mean::from_json(text).map(State::Mean),
            "proportion" => Proportion::from_json(text).map(State::Proportion),
            "quantile" => Quantile::from_json(text).map(State::Quantile),
            _ => Err(unlike()),
        };
        Ok(Self::of(read.map_err(raise)?))
    }

    fn to_json(&self) -> PyResult<String> {
        Ok(match &*self.lock() {
            State::Mean(mean) => mean.to_json(),
            State::Proportion(proportion) => proportion.to_json(),
            State::Quantile(quantile) => quantile.to_json(),
            State::Means(pair) => pair.to_json(),
            State::Proportions(pair) => pair.to_json(),
            State::Quantiles(pair) => pair.to_json(),
            State::Cells(_) => {
                return Err(raise(Error::invalid(
                    "a difference of cells has no state of its own: keep the counts it was made of",
                )));
            }
        })
    }

    /// Takes in rows that were counted elsewhere.
    fn count(&self, yes: u64, rows: u64) -> PyResult<()> {
        match &mut *self.lock() {
            State::Proportion(proportion) if yes <= rows => {
                proportion.update(yes, rows);
                Ok(())
            }
            State::Proportion(_) => Err(raise(Error::invalid(format!(
                "true of {yes} of {rows} rows: give at least as many rows"
            )))),
            _ => Err(raise(unlike())),
        }
    }

    fn stretched(&self, ratio: f64, plus: f64) -> PyResult<Self> {
        match &*self.lock() {
            State::Quantile(quantile) => {
                let stretched = quantile.stretched(ratio, plus).map_err(raise)?;
                Ok(Self::of(State::Quantile(stretched)))
            }
            _ => Err(raise(unlike())),
        }
    }

    /// Takes in values; of a proportion, whether each is true (not 0).
    fn update(&self, py: Python<'_>, values: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let values = values.as_slice().map_err(|_| {
            raise(Error::invalid(
                "the array is not contiguous: pass numpy.ascontiguousarray(values)",
            ))
        })?;
        run(py, || {
            match &mut *self.lock() {
                State::Mean(mean) => mean.update_many(values),
                State::Quantile(quantile) => quantile.update_many(values),
                State::Proportion(proportion) => {
                    let known = values.iter().filter(|value| !value.is_nan());
                    let yes = known.clone().filter(|value| **value != 0.0).count() as u64;
                    proportion.update(yes, known.count() as u64);
                }
                _ => {
                    return Err(Error::invalid(
                        "a difference takes no values: update its two figures, and make it anew",
                    ));
                }
            }
            Ok(())
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        run(py, || {
            let other = other.lock().clone();
            match (&mut *self.lock(), &other) {
                (State::Mean(mine), State::Mean(theirs)) => mine.merge(theirs),
                (State::Proportion(mine), State::Proportion(theirs)) => {
                    mine.merge(theirs);
                    Ok(())
                }
                (State::Quantile(mine), State::Quantile(theirs)) => mine.merge(theirs),
                _ => Err(unlike()),
            }
        })
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.lock().stream().rows()
    }

    #[getter]
    fn estimate(&self) -> Option<f64> {
        self.lock().stream().estimate()
    }

    #[pyo3(signature = (at_least, at_most))]
    fn log_e(&self, py: Python<'_>, at_least: Option<f64>, at_most: Option<f64>) -> PyResult<f64> {
        run(py, || {
            Ok(self.lock().stream().log_e(harmless(at_least, at_most)?))
        })
    }

    fn interval(&self, py: Python<'_>, alpha: f64) -> PyResult<(f64, f64)> {
        run(py, || {
            // Each end may fail with half of the chance.
            let found = self.lock().stream().interval(level(alpha / 2.0)?);
            Ok((found.lower, found.upper))
        })
    }

    #[pyo3(signature = (alpha, at_least, at_most))]
    fn rows_to_go(
        &self,
        py: Python<'_>,
        alpha: f64,
        at_least: Option<f64>,
        at_most: Option<f64>,
    ) -> PyResult<Option<u64>> {
        run(py, || {
            let harmless = harmless(at_least, at_most)?;
            Ok(self.lock().stream().rows_to_go(harmless, level(alpha)?))
        })
    }
}

/// The distance of counts from those of a baseline over the same cells.
#[pyclass(module = "tidegate._core", frozen)]
pub struct CellsTest {
    test: Cells,
    cells: usize,
}

impl CellsTest {
    fn check(&self, live: &[f64]) -> Result<()> {
        if live.len() != self.cells || live.iter().any(|count| !(0.0..1e15).contains(count)) {
            return Err(Error::invalid(format!(
                "{} counts where the baseline has {} cells: give one count a cell, none below 0",
                live.len(),
                self.cells
            )));
        }
        Ok(())
    }
}

#[pymethods]
impl CellsTest {
    #[new]
    fn new(baseline: Vec<u64>, ordered: bool) -> PyResult<Self> {
        if baseline.len() < 2 || baseline.iter().all(|count| *count == 0) {
            return Err(raise(Error::invalid(
                "a baseline of fewer than two cells or of no rows: give one count a cell",
            )));
        }
        Ok(Self {
            test: Cells::new(&baseline, ordered),
            cells: baseline.len(),
        })
    }

    fn distance(&self, live: Vec<f64>) -> PyResult<Option<f64>> {
        self.check(&live).map_err(raise)?;
        Ok(self.test.distance(&live))
    }

    fn log_e(&self, live: Vec<f64>, tolerance: f64) -> PyResult<f64> {
        self.check(&live).map_err(raise)?;
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(raise(Error::invalid(format!(
                "a tolerance of {tolerance}: use a number above 0 and below 1"
            ))));
        }
        Ok(self.test.log_e(&live, tolerance))
    }

    fn interval(&self, live: Vec<f64>, alpha: f64) -> PyResult<(f64, f64)> {
        self.check(&live).map_err(raise)?;
        let level = level(alpha / 2.0).map_err(raise)?;
        let found = self.test.interval(&live, level, 0.0);
        Ok((found.lower, found.upper))
    }
}

/// The positions of the e-values (as natural logarithms) that are discoveries.
#[pyfunction]
pub fn e_discoveries(log_e: Vec<f64>, alpha: f64) -> PyResult<Vec<usize>> {
    level(alpha).map_err(raise)?;
    Ok(discoveries(&log_e, alpha))
}
