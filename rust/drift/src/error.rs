//! Errors of the summaries in the shared kind.

use tidegate_schema::{Error, ErrorKind};

/// A summary's error as the shared one.
pub(crate) fn lift(error: tidegate_sketch::Error) -> Error {
    let kind = match error.kind {
        tidegate_sketch::ErrorKind::Argument => ErrorKind::InvalidInput,
        tidegate_sketch::ErrorKind::Limit => ErrorKind::TooLarge,
        tidegate_sketch::ErrorKind::State => ErrorKind::State,
    };
    Error::new(kind, error.message)
}
