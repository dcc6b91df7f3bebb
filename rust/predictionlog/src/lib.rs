//! Bounded stores of predictions: those that await their labels, and those to be logged.
//!
//! Nothing here reads a clock or knows a model: [`Awaiting`] keeps numbers by the name of a
//! prediction, a [`Journal`] makes them survive the process, and a [`log::Log`] makes Parquet files
//! of what was asked and answered.

mod awaiting;
mod id;
mod journal;
pub mod log;
mod record;

pub use awaiting::{Awaiting, Chunk, Mark, Place, Row};
pub use id::PredictionId;
pub use journal::{Journal, Recovered};
pub use record::Record;
