//! The one way from Python into work that takes time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;
use tidegate_schema::{Error, Result};

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
