//! What a caller says of batching: one objective at most, and bounds.

use std::time::Duration;

use pyo3::prelude::*;
use tidegate_runtime::LoadOptions;
use tidegate_schema::Error;

use crate::errors::raise;

/// The fields of `tidegate.runtime.Batching`; what is absent stays as it was. Times are in
/// seconds.
#[derive(Debug, Default, FromPyObject)]
pub struct Batching {
    objective: Option<f64>,
    max_delay: Option<f64>,
    max_batch_rows: Option<usize>,
    max_queue_rows: Option<usize>,
    max_queue_bytes: Option<usize>,
    instances: Option<usize>,
}

impl Batching {
    /// The options with what was said.
    pub fn over(&self, options: &LoadOptions) -> PyResult<LoadOptions> {
        let mut options = options.clone();
        let limits = &mut options.limits;
        limits.objective = seconds("objective", self.objective)?.or(limits.objective);
        limits.max_delay = seconds("max_delay", self.max_delay)?.or(limits.max_delay);
        limits.max_batch_rows = self.max_batch_rows.unwrap_or(limits.max_batch_rows);
        limits.max_queue_rows = self.max_queue_rows.unwrap_or(limits.max_queue_rows);
        limits.max_queue_bytes = self.max_queue_bytes.unwrap_or(limits.max_queue_bytes);
        options.instances = self.instances.or(options.instances);
        options.check().map_err(raise)?;
        Ok(options)
    }
}

/// A time given in seconds.
fn seconds(name: &str, given: Option<f64>) -> PyResult<Option<Duration>> {
    let read = |given: f64| {
        Duration::try_from_secs_f64(given).map_err(|_| {
            raise(Error::invalid(format!(
                "{name} is {given} seconds: give a time above 0"
            )))
        })
    };
    given.map(read).transpose()
}
