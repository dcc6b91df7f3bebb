//! The mergeable summaries on NumPy arrays, Arrow arrays and lists of text.
//!
//! Each class holds its summary behind a lock that is taken with the interpreter released, so
//! that threads may share one.

mod covariance;
mod distinct;
mod frequencies;
mod frequent;
mod histogram;
mod moments;
mod quantiles;
mod relative;
mod reservoir;

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tidegate_schema::{Error, ErrorKind};

pub use covariance::Covariance;
pub use distinct::Distinct;
pub use frequencies::Frequencies;
pub use frequent::FrequentItems;
pub use histogram::Histogram;
pub use moments::Moments;
pub use quantiles::Quantiles;
pub use relative::RelativeQuantiles;
pub use reservoir::Reservoir;

use crate::errors::raise;

/// A summary's error as the shared one.
fn lift(error: tidegate_sketch::Error) -> Error {
    let kind = match error.kind {
        tidegate_sketch::ErrorKind::Argument => ErrorKind::InvalidInput,
        tidegate_sketch::ErrorKind::Limit => ErrorKind::TooLarge,
        tidegate_sketch::ErrorKind::State => ErrorKind::State,
    };
    Error::new(kind, error.message)
}

/// What a panicking update left is still a summary, so a poisoned lock is taken as it is.
pub(crate) fn lock<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn apart() -> Error {
    Error::invalid("the array is not contiguous: pass numpy.ascontiguousarray(values)")
}

/// The values of an array; an error when they do not lie one after the other.
pub(crate) fn slice<'a>(values: &'a PyReadonlyArray1<'_, f64>) -> PyResult<&'a [f64]> {
    values.as_slice().map_err(|_| raise(apart()))
}

/// The values of a matrix row by row, and how wide a row is.
pub(crate) fn rows<'a>(values: &'a PyReadonlyArray2<'_, f64>) -> PyResult<(&'a [f64], usize)> {
    if !values.is_c_contiguous() {
        return Err(raise(apart()));
    }
    let width = values.shape()[1];
    Ok((values.as_slice().map_err(|_| raise(apart()))?, width))
}

/// Rows of the width that a summary was made for.
fn fitting(width: usize, due: usize) -> Result<(), Error> {
    if width == due {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "rows of {width} numbers where {due} are due: pass the chosen columns"
    )))
}
