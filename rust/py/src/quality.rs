//! Quality of predictions that are read from somewhere, such as the prediction log.

use std::sync::{Mutex, PoisonError};

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use tidegate_drift::quality as core;
use tidegate_schema::Error;

use crate::enter::{run, run_attached};
use crate::errors::raise;

/// The quality of one version of a model.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Quality(Mutex<core::Quality>);

#[pymethods]
impl Quality {
    /// `task` is the task as a report has it, as JSON; windows are of so many seconds.
    #[new]
    fn new(task: &str, seconds: f64) -> PyResult<Self> {
        run_attached(|| {
            let task = serde_json::from_str(task)
                .map_err(|error| Error::invalid(format!("no task of a model: {error}")))?;
            Ok(Self(Mutex::new(core::Quality::new(task, seconds)?)))
        })
    }

    /// Takes in predictions: their numbers as the task has them, their labels (NaN where there is
    /// none) and their times.
    #[allow(clippy::needless_pass_by_value)]
    fn update(
        &self,
        py: Python<'_>,
        rows: PyReadonlyArray2<'_, f64>,
        labels: PyReadonlyArray1<'_, f64>,
        times: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<()> {
        let (rows, labels, times) = (rows.as_array(), labels.as_array(), times.as_array());
        if rows.nrows() != labels.len() || rows.nrows() != times.len() {
            return Err(raise(Error::invalid(
                "predictions, labels and times of different lengths: give one of each a row",
            )));
        }
        run(py, || {
            let mut quality = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for ((row, label), time) in rows.rows().into_iter().zip(labels).zip(times) {
                let row = row.to_vec();
                quality.predicted(&row, None, *time);
                if !label.is_nan() {
                    quality.labelled(&row, *label, None, *time);
                }
            }
            Ok(())
        })
    }

    /// What is known, as JSON.
    fn report(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || {
            let quality = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            serde_json::to_string(&quality.report())
                .map_err(|error| Error::internal(format!("a report of quality: {error}")))
        })
    }
}
