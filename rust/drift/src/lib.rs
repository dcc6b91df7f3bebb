//! Baselines, windows of live observations, and the distances between them.
//!
//! A [`Baseline`] fixes, once, into which cells the values of each watched column fall. A
//! [`Monitor`] counts live values into the same cells, window by window, and a [`Report`] compares
//! the counts. Cells add up, so windows of several workers or replicas merge exactly. Time is a
//! parameter: nothing here reads a clock. [`Alarms`] say what has left the baseline by more than is
//! harmless, by the tests of [`sequential`].

mod alarm_report;
mod alarms;
mod baseline;
mod blocks;
mod builder;
mod categorical;
mod decay;
mod detectors;
mod distances;
mod error;
mod label;
mod monitor;
mod numeric;
pub mod quality;
mod report;
mod segment_report;
mod segments;
pub mod sequential;
mod snapshot;
pub mod tally;
mod window;

pub use alarm_report::{AlarmReport, AlarmsReport};
pub use alarms::{ALPHA, AlarmOptions, Alarms, TOLERANCE};
pub use baseline::{Baseline, Reference, Role, Watched};
pub use builder::{BINS, BaselineBuilder, MAX_BINS};
pub use categorical::{Categorical, KNOWN_BYTES, KNOWN_VALUES, NAMED_VALUES};
pub use detectors::{
    Adwin, Changes, Cusum, Ddm, Detector, Direction, HddmA, HddmW, Kswin, MAX_MAGNITUDE,
    MAX_WINDOW, Method, PageHinkley, Signal,
};
pub use distances::{
    Discrepancy, FLOOR, Kernels, MAX_COMPARED_ROWS, Pooled, anderson_darling, chi_square,
    cramer_von_mises, hellinger, jensen_shannon, jensen_shannon_noise, kolmogorov_p,
    kolmogorov_smirnov, kolmogorov_smirnov_bounds, kolmogorov_smirnov_noise,
    maximum_mean_discrepancy, psi, psi_noise, total_variation, total_variation_noise, wasserstein,
    wasserstein_bounds,
};
pub use monitor::{HISTORY, LABEL_LIMIT, MAX_HISTORY, MAX_PENDING, Monitor, Windows};
pub use numeric::Numeric;
pub use report::{
    BaselineReport, CellKind, CellReport, ColumnReport, Compared, Kind, MistypedColumn,
    MomentsReport, ReferenceKind, ReferenceReport, Report, WindowReport,
};
pub use segment_report::{SegmentColumn, SegmentName, SegmentRows, SegmentsReport};
pub use segments::{MAX_SEGMENTS, NO_SEGMENT, OTHER_SEGMENT, Part, SegmentedBaseline, Segments};
pub use snapshot::{SNAPSHOT_LIMIT, Snapshot};
pub use window::{Live, Window};
