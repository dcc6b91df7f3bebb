//! The Python extension `tidegate._core`: the only crate that knows Python.
//!
//! Each file converts for one concept: arguments in, one call of a core crate, results out.
//! Algorithms and default values live in the crates below.

mod arrow;
mod enter;
mod errors;

/// The native half of tidegate; use the packages of `tidegate` instead of this module.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::arrow::ArrowTable;
    #[pymodule_export]
    use super::errors::error_kinds;

    /// The version of the native half, which must equal the package's.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
