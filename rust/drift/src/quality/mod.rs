//! How good predictions were, once their labels are known, and how good they should be before.
//!
//! Every metric is a small mergeable state, exact against its definition on the raw rows, except
//! the area under the curve, which states its error. A [`Quality`] keeps them for one version of a
//! model: in total, by window of the time of prediction, and by segment. Time is a parameter.

mod auc;
mod brier;
mod calibration;
pub(crate) mod classification;
mod confusion;
mod error;
mod evidence;
mod figures;
mod label;
pub(crate) mod log_loss;
mod mean;
mod report;
mod task;
mod tracker;

pub use auc::Auc;
pub use brier::Brier;
pub use calibration::{BINS as CALIBRATION_BINS, Calibration};
pub use classification::Classification;
pub use confusion::Confusion;
pub use error::RegressionError;
pub use evidence::{ALPHA, Evidence};
pub use figures::Figures;
pub use label::{Label, Rejection};
pub use log_loss::LogLoss;
pub use mean::Mean;
pub use report::{
    BinReport, ClassReport, FiguresReport, MeasureReport, MetricReport, QualityReport,
    SegmentReport, WindowQualityReport,
};
pub use task::{MAX_CLASSES, Task};
pub use tracker::{
    MAX_METRICS, MAX_SEGMENTS, METRIC_NAME_LIMIT, Quality, SEGMENT_NAME_LIMIT, WINDOWS,
};
