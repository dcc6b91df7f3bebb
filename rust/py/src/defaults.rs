//! The core's own defaults, for those who print effective settings.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use tidegate_runtime::{LoadOptions, Options as RuntimeOptions, instances_by_cores};
use tidegate_server::Options as ServerOptions;

/// What a runtime takes for the options that nobody gave.
#[pyfunction]
pub fn runtime_defaults() -> BTreeMap<&'static str, f64> {
    let (options, loading) = (RuntimeOptions::default(), LoadOptions::default());
    BTreeMap::from([
        ("max_batch_rows", loading.limits.max_batch_rows as f64),
        ("max_queue_rows", loading.limits.max_queue_rows as f64),
        ("max_queue_bytes", loading.limits.max_queue_bytes as f64),
        ("instances", instances_by_cores() as f64),
        ("observe_bytes", options.observation_bytes as f64),
        ("feedback_bytes", options.feedback_bytes as f64),
        ("quality_seconds", options.quality_seconds),
    ])
}

/// What watching takes for the options that nobody gave.
#[pyfunction]
pub fn watching_defaults() -> BTreeMap<&'static str, f64> {
    let LoadOptions {
        windows, alarms, ..
    } = LoadOptions::default();
    BTreeMap::from([
        ("rows", windows.rows as f64),
        ("seconds", windows.seconds),
        ("lateness", windows.lateness),
        ("sliding", windows.sliding as f64),
        ("alpha", alarms.alpha),
        ("tolerance", alarms.tolerance),
    ])
}

/// What a server takes for the options that nobody gave.
#[pyfunction]
pub fn server_defaults() -> BTreeMap<&'static str, f64> {
    BTreeMap::from([("workers", ServerOptions::default().workers as f64)])
}
