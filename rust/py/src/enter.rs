//! The one way from Python into work that takes time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tidegate_schema::{Error, ErrorKind, Result};

use crate::errors::raise;

/// Runs `work` with the interpreter released. Errors become Python's exceptions; a panic, which is
/// a bug, becomes an `InternalError` and never reaches Python as something it cannot catch.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| guard(work)).map_err(raise)
}

/// Runs short work without releasing the interpreter, for calls cheaper than the release itself.
pub fn run_attached<T>(work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    guard(work).map_err(raise)
}

fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "of unknown kind".to_owned());
        Err(Error::internal(format!(
            "a bug in tidegate, please report it: panic {text}"
        )))
    })
}

/// How long work goes on before it looks again whether it was interrupted.
const BETWEEN: Duration = Duration::from_millis(50);

/// What long work calls back: it ends with what Ctrl-C raises, and tells a callback how far it is.
pub struct Watch {
    progress: Option<Py<PyAny>>,
    /// Rows of all the work, if that is known.
    total: Option<u64>,
    /// Rows of pieces that are done.
    before: u64,
    looked: Instant,
    raised: Option<PyErr>,
}

impl Watch {
    /// Says that so many rows are done of the piece that is under way. An error ends the work.
    pub fn pulse(&mut self, done: u64) -> Result<()> {
        if self.looked.elapsed() < BETWEEN {
            return Ok(());
        }
        self.looked = Instant::now();
        self.tell(self.before + done)
    }

    /// Says that a piece of so many rows is done.
    pub fn end_piece(&mut self, rows: u64) {
        self.before += rows;
    }

    fn tell(&mut self, done: u64) -> Result<()> {
        let outcome = Python::attach(|py| {
            py.check_signals()?;
            match &self.progress {
                Some(progress) => progress.call1(py, (done, self.total)).map(|_| ()),
                None => Ok(()),
            }
        });
        outcome.map_err(|error| {
            self.raised = Some(error);
            Error::new(ErrorKind::Cancelled, "the work was interrupted")
        })
    }
}

/// Runs `work` that may take long, as [`run`] does, and lets it call back. `progress` is called with
/// the rows that are done and those of all the work, if that is known, and once more at the end.
pub fn run_watched<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    total: Option<u64>,
    work: impl FnOnce(&mut Watch) -> Result<T> + Send,
) -> PyResult<T> {
    let mut watch = Watch {
        progress: progress.map(|progress| progress.clone().unbind()),
        total,
        before: 0,
        looked: Instant::now(),
        raised: None,
    };
    let outcome = py.detach(|| {
        guard(|| {
            let result = work(&mut watch)?;
            if watch.progress.is_some() {
                watch.tell(watch.total.unwrap_or(watch.before))?;
            }
            Ok(result)
        })
    });
    match watch.raised {
        Some(error) => Err(error),
        None => outcome.map_err(raise),
    }
}
