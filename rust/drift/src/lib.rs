//! Baselines, windows of live observations, and the distances between them.
//!
//! A [`Baseline`] fixes, once, into which cells the values of each watched column fall. A
//! [`Monitor`] counts live values into the same cells, window by window, and a [`Report`] compares
//! the counts. Cells add up, so windows of several workers or replicas merge exactly. Time is a
//! parameter: nothing here reads a clock.

mod baseline;
mod blocks;
mod builder;
mod categorical;
mod distances;
mod error;
mod label;
mod monitor;
mod numeric;
mod report;
mod window;

pub use baseline::{Baseline, Reference, Role, Watched};
pub use builder::{BINS, BaselineBuilder, MAX_BINS};
pub use categorical::{Categorical, KNOWN_BYTES, KNOWN_VALUES, NAMED_VALUES};
pub use distances::{FLOOR, jensen_shannon, psi, psi_noise};
pub use monitor::{HISTORY, LABEL_LIMIT, MAX_HISTORY, Monitor, Windows};
pub use numeric::Numeric;
pub use report::{
    BaselineReport, CellKind, CellReport, ColumnReport, Compared, Kind, MomentsReport, Report,
    WindowReport,
};
pub use window::{Live, Window};
