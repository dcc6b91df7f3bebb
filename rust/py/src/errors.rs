//! The one map from the core's error kinds to Python's exceptions.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use tidegate_schema::{Error, ErrorKind};

/// The name of the exception class in `tidegate.errors` for a kind of error.
const fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "InputError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::AlreadyExists => "AlreadyExistsError",
        ErrorKind::TooLarge => "TooLargeError",
        ErrorKind::Unsupported => "UnsupportedError",
        ErrorKind::Unauthenticated => "UnauthenticatedError",
        ErrorKind::Forbidden => "ForbiddenError",
        ErrorKind::RateLimited => "RateLimitedError",
        ErrorKind::Overloaded => "OverloadedError",
        ErrorKind::Deadline => "DeadlineError",
        ErrorKind::NotReady => "NotReadyError",
        ErrorKind::Cancelled => "CancelledError",
        ErrorKind::Integrity => "IntegrityError",
        ErrorKind::State => "StateError",
        ErrorKind::Backend => "BackendError",
        ErrorKind::Closed => "ClosedError",
        ErrorKind::Internal => "InternalError",
    }
}

/// The Python exception for an error of the core.
pub fn raise(error: Error) -> PyErr {
    static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
    Python::attach(|py| {
        let classes = CLASSES.get_or_try_init(py, || {
            let module = py.import("tidegate.errors")?;
            ErrorKind::ALL
                .iter()
                .map(|kind| {
                    Ok(module
                        .getattr(class_name(*kind))?
                        .cast_into::<PyType>()?
                        .unbind())
                })
                .collect::<PyResult<Vec<_>>>()
        });
        match classes {
            Ok(classes) => {
                let place = ErrorKind::ALL.iter().position(|kind| *kind == error.kind);
                match place.and_then(|place| classes.get(place)) {
                    Some(class) => PyErr::from_type(class.bind(py).clone(), error.message),
                    None => pyo3::exceptions::PyRuntimeError::new_err(error.message),
                }
            }
            Err(import) => import,
        }
    })
}

/// Every kind of error with the name of its exception: what the tests walk.
#[pyo3::pyfunction]
pub fn error_kinds() -> Vec<(&'static str, &'static str)> {
    ErrorKind::ALL
        .iter()
        .map(|kind| (kind.name(), class_name(*kind)))
        .collect()
}
