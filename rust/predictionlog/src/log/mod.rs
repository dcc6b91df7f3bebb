//! The prediction log: what was asked and answered, as Parquet files.
//!
//! Rows are handed over as whole columns after their answers, wait in a bounded queue, and become
//! files in whichever thread asks for the next one. Each file is whole when it leaves here, so that
//! a process that is killed loses what was not a file yet, and never leaves half of one.

mod entry;
mod queue;
mod rules;
mod sheet;

pub use entry::{Answered, Feedback, Source};
pub use queue::{Log, LogStatistics, QUEUE_BYTES, Rotation, Sealed};
pub use rules::{Disclosed, Rules};
