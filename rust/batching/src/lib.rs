//! When to cut a batch: a pure policy, and a queue with one owner.
//!
//! An idle backend is given work at once; while it is busy, what gathers becomes the next batch.
//! There is no timer. [`Batcher`] holds the queue and the slot in which the backend sits;
//! [`policy`] holds the decisions, which know neither threads nor clocks.

mod batcher;
mod cost;
pub mod policy;
mod queue;
mod statistics;
mod sync;

pub use batcher::{Batcher, Clock};
pub use cost::CostCurve;
pub use queue::{Limits, Queue, Reason, Refused, Taken};
pub use statistics::{BUCKETS, Statistics};

/// A piece of work that may share a batch with others.
///
/// A work that is dropped without having been executed (its caller has gone, or the executor
/// panicked) has to tell whoever still waits: answer from `Drop`.
pub trait Work: Send + 'static {
    /// The rows that it brings. Read once, when it is queued.
    fn rows(&self) -> usize;

    /// Whether `other` may run in the same batch, as when both have the same columns and types.
    fn compatible(&self, other: &Self) -> bool;

    /// Whether nobody waits for the answer any more. Asked once, at the last moment before
    /// execution; an abandoned work is dropped instead of executed.
    fn abandoned(&self) -> bool;
}

/// What runs a batch.
pub trait Execute<W>: Send + 'static {
    /// Runs the works as one batch and answers every one of them.
    ///
    /// The works are mutually compatible with the first, in the order of arrival, and never none.
    /// A panic is caught and counted, and drops the works: see [`Work`].
    fn execute(&mut self, batch: Vec<W>);
}
