//! The quality of all versions of a model, in the form that is sent.

use serde::Serialize;
use tidegate_drift::quality::QualityReport;

use super::Counts;

/// The version written into reports.
pub(super) const VERSION: u32 = 1;

/// The quality of all versions of a model that have predicted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelQuality {
    /// Of the form of this report.
    pub version: u32,
    /// The bundle's own name.
    pub model: String,
    /// The newest last.
    pub versions: Vec<VersionQuality>,
    /// What became of labels that were sent.
    pub labels: Counts,
    /// What became of named numbers that were sent.
    pub metrics: Counts,
    /// The store of predictions, which all models share.
    pub awaiting: AwaitingReport,
}

/// The quality of one version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionQuality {
    /// The bundle's version.
    pub version: String,
    /// The bundle's digest.
    pub digest: Option<String>,
    /// What is known.
    #[serde(flatten)]
    pub quality: QualityReport,
}

/// The store of predictions that await labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AwaitingReport {
    /// Rows that are in it.
    pub rows: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// Most bytes that they may take.
    pub limit_bytes: usize,
    /// Rows that left it without a label.
    pub evicted: u64,
    /// What makes it survive the process; null where nothing does.
    pub journal: Option<JournalReport>,
}

/// The journal of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// False while it cannot be written: what comes then does not survive the process.
    pub writing: bool,
    /// Writes that failed.
    pub failures: u64,
    /// Records that were read when the process began.
    pub recovered_records: u64,
    /// Bytes that were damaged then, or not all there.
    pub damaged_bytes: u64,
}
