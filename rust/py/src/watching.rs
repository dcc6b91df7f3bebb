//! What a caller says of watching: windows, what they are compared with, and alarms.

use std::sync::Arc;

use pyo3::prelude::*;
use tidegate_runtime::{AlarmOptions, Baseline, LoadOptions, Windows};
use tidegate_schema::Result;

use crate::errors::raise;

/// The fields of `tidegate.monitoring.Watching`; what is absent stays as it was. Times are in
/// seconds.
#[derive(Debug, Default, FromPyObject)]
pub struct Watching {
    rows: Option<u64>,
    seconds: Option<f64>,
    aligned: Option<bool>,
    lateness: Option<f64>,
    sliding: Option<usize>,
    half_life: Option<f64>,
    trailing: Option<usize>,
    alpha: Option<f64>,
    tolerance: Option<f64>,
    ignore: Option<Vec<String>>,
    segment: Option<String>,
    /// The column that the bundle names, where no other is named that the model has.
    own_segment: Option<String>,
    /// Another version's `baseline.json`.
    baseline: Option<String>,
}

impl Watching {
    /// The column by whose values rows are told apart, if one was named.
    pub fn segment(&self) -> Option<&str> {
        self.segment.as_deref()
    }

    /// The windows with what was said.
    pub fn windows(&self, before: Windows) -> Windows {
        Windows {
            rows: self.rows.unwrap_or(before.rows),
            seconds: self.seconds.unwrap_or(before.seconds),
            aligned: self.aligned.unwrap_or(before.aligned),
            lateness: self.lateness.unwrap_or(before.lateness),
            sliding: self.sliding.unwrap_or(before.sliding),
            half_life: self.half_life.unwrap_or(before.half_life),
            trailing: self.trailing.unwrap_or(before.trailing),
        }
    }

    /// The alarms with what was said.
    pub fn alarms(&self, before: &AlarmOptions) -> AlarmOptions {
        let ignore = self
            .ignore
            .as_ref()
            .map(|names| names.iter().cloned().collect());
        AlarmOptions {
            alpha: self.alpha.unwrap_or(before.alpha),
            tolerance: self.tolerance.unwrap_or(before.tolerance),
            ignore: ignore.unwrap_or_else(|| before.ignore.clone()),
        }
    }

    /// The options with what was said.
    pub fn over(&self, mut options: LoadOptions) -> PyResult<LoadOptions> {
        options.windows = self.windows(options.windows);
        options.alarms = self.alarms(&options.alarms);
        if let Some(segment) = &self.segment {
            options.segment = Some(segment.clone());
            options.segment_for_all = false;
        }
        if let Some(segment) = &self.own_segment {
            options.own_segment = Some(segment.clone());
        }
        if let Some(text) = &self.baseline {
            options.baseline = Some(Arc::new(Baseline::from_json(text).map_err(raise)?));
        }
        let checked: Result<()> = options
            .windows
            .check()
            .and_then(|()| options.alarms.check_numbers());
        checked.map_err(raise)?;
        Ok(options)
    }
}
