//! The Python extension `tidegate._core`: the only crate that knows Python.
//!
//! Each file converts for one concept: arguments in, one call of a core crate, results out.
//! Algorithms and default values live in the crates below.

/// A tenth less CPU a request than with the C library's allocator (18 columns, 32 connections, median
/// of 20 pairs), since what one thread allocates another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod access;
mod arrow;
mod batching;
mod bundle;
mod completion;
mod defaults;
mod detector;
mod distances;
mod distribution;
mod drift;
mod enter;
mod errors;
mod features;
mod input;
mod keylog;
mod load;
mod plan;
mod prediction;
mod predictionlog;
mod quality;
mod rows;
mod runtime;
mod schema;
mod sequential;
mod server;
mod sketch;
mod tensors;
mod timing;
mod tracer;
mod validation;
mod watching;

/// The native half of tidegate; use the packages of `tidegate` instead of this module.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::access::{Access, Tls};
    #[pymodule_export]
    use super::arrow::{ArrowTable, arrow_numbers};
    #[pymodule_export]
    use super::bundle::{verify_bundle, write_evidence};
    #[pymodule_export]
    use super::completion::Completions;
    #[pymodule_export]
    use super::defaults::{runtime_defaults, server_defaults, watching_defaults};
    #[pymodule_export]
    use super::detector::Detector;
    #[pymodule_export]
    use super::distances::{Cells, maximum_mean_discrepancy};
    #[pymodule_export]
    use super::distribution::column_baseline;
    #[pymodule_export]
    use super::drift::{Baseline, Monitor};
    #[pymodule_export]
    use super::errors::error_kinds;
    #[pymodule_export]
    use super::features::{FeatureSpec, Fitter, expression_text};
    #[pymodule_export]
    use super::keylog::{KeyLog, RowSet};
    #[pymodule_export]
    use super::load::load;
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::prediction::{Prediction, Predictions};
    #[pymodule_export]
    use super::predictionlog::{LogFile, PredictionLog};
    #[pymodule_export]
    use super::quality::Quality;
    #[pymodule_export]
    use super::runtime::{Model, Runtime, Ticket, load_onnxruntime};
    #[pymodule_export]
    use super::schema::Schema;
    #[pymodule_export]
    use super::sequential::{CellsTest, Sequential, e_discoveries};
    #[pymodule_export]
    use super::server::{Mount, MountTicket, Server, http_routes, http_statuses, limits};
    #[pymodule_export]
    use super::sketch::{
        Covariance, Distinct, Frequencies, FrequentItems, Histogram, Moments, Quantiles,
        RelativeQuantiles, Reservoir,
    };
    #[pymodule_export]
    use super::timing::{time_guard, time_json, time_rows};
    #[pymodule_export]
    use super::tracer::Tracer;
    #[pymodule_export]
    use super::validation::{RuleSet, Validation, check_guard, compare_schemas, row_sum};

    /// The version of the native half, which must equal the package's.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
