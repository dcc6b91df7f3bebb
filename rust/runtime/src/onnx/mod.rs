//! ONNX Runtime, called through the C API of the shared library that an installed wheel brings.
//!
//! The library is loaded once and never unloaded. Sessions and the process-wide environment are
//! the `ort` crate's; values are made and read through the same function table, because that
//! takes every datatype without a further dependency and saves 0.7 µs of a small run.

mod library;
mod session;
mod value;

pub use library::{MINIMUM_VERSION, library_version, load_library};
pub use session::OnnxBackend;

use tidegate_schema::{Error, ErrorKind, Result};

/// The first line of ONNX Runtime's message: the rest names its source files.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

/// Turns a status into an error, and frees it.
fn check(status: ort::sys::OrtStatusPtr) -> Result<()> {
    // SAFETY: the status comes from a call that has just returned and is read and freed once.
    unsafe { ort::Error::result_from_status(status) }.map_err(|error| {
        let kind = match error.code() {
            ort::ErrorCode::InvalidArgument => ErrorKind::InvalidInput,
            ort::ErrorCode::NotImplemented => ErrorKind::Unsupported,
            _ => ErrorKind::Backend,
        };
        Error::new(
            kind,
            format!("the model failed: {}", first_line(error.message())),
        )
    })
}
