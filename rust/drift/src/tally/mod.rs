//! What is counted of the versions that share a deployment's traffic, so that they can be compared.
//!
//! A [`Tally`] counts one version within one revision of a traffic plan and gives a [`Sample`]; a
//! [`Pairing`] compares a version with its shadow, row by row. Samples of several replicas add up to
//! the sample of all. The versions of one revision are counted in the same [`Scope`]: what is asked
//! for, and the cells of one baseline, so that their counts can be held against each other. Time is
//! a parameter.
//!
//! Missing values: a prediction or a feature without a value has a cell of its own; NaN enters no mean
//! and no loss, and a row whose loss cannot be told enters none.

mod cells;
mod document;
mod losses;
mod observe;
mod pairs;
mod part;
mod sample;
mod segments;
mod tallied;

pub use cells::Cells;
pub use document::{FORMAT, Samples, Shadowed};
pub use losses::Losses;
pub use observe::{MAX_QUANTILES, MetricRange, Observe, QUANTILES};
pub use pairs::{Pairing, Pairs};
pub use part::{Part, Predicted};
pub use sample::Sample;
pub use segments::{SEGMENTS, Segments, segment_key};
pub use tallied::{Answered, Scope, Tally};
