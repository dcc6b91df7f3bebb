//! Labels that come later: predictions wait for them, and what they say becomes quality.

mod book;
mod counts;
mod exposition;
mod follow;
mod report;
mod restore;

pub(crate) use book::{Book, Settings, no_quality};
pub use counts::{Counts, OUTCOMES, Outcome, Problem, Received};
pub(crate) use exposition::metrics;
pub(crate) use follow::{Follow, segment_column};
pub use report::{AwaitingReport, JournalReport, ModelQuality, VersionQuality};
