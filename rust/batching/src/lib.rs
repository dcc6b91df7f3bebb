//! When to cut a batch: a pure policy, and a queue with one owner.
//!
//! An idle backend is given work at once; while it is busy, what gathers becomes the next batch.
//! There is no timer. [`Batcher`] holds the queue and the slots in which the backends sit;
//! [`policy`] holds the decisions, which know neither threads nor clocks.

mod batcher;
pub mod cost;
mod limits;
mod order;
mod point;
pub mod policy;
mod queue;
mod refusal;
mod statistics;
mod sync;

use std::time::{Duration, Instant};

pub use batcher::{Batcher, Clock};
pub use cost::CostCurve;
pub use limits::{Limits, MAX_INSTANCES, MAX_TIME};
pub use order::{AGEING, PATIENCE, PRIORITIES};
pub use queue::{PROBE_AFTER, PROBE_AT_MOST_AFTER, Queue, Taken, Terms};
pub use refusal::{Reason, Refusal, Refused};
pub use statistics::{BUCKETS, SizeStatistics, Statistics};

/// A piece of work that may share a batch with others.
///
/// A work that is dropped without having been executed (the executor panicked) has to tell whoever
/// still waits: answer from `Drop`.
pub trait Work: Send + Sized + 'static {
    /// The rows that it brings. Read once, when it is queued, like all that follows.
    fn rows(&self) -> usize;

    /// The bytes that it holds while it waits.
    fn bytes(&self) -> usize;

    /// When it came here.
    fn arrived(&self) -> Instant;

    /// How long it had waited by then, unseen, which counts towards the objective.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    /// When its answer is of no use any more.
    fn deadline(&self) -> Option<Instant>;

    /// 1 is the most important, larger numbers less; 0, "none given", is in the middle.
    fn priority(&self) -> u32;

    /// Whether `other` may run in the same batch, as when both have the same columns and types.
    fn compatible(&self, other: &Self) -> bool;

    /// Whether nobody waits for the answer any more. Asked at the last moment before execution;
    /// an abandoned work is refused instead of executed.
    fn abandoned(&self) -> bool;

    /// Was accepted and is not executed after all: tells whoever waits.
    fn refuse(refused: Refused<Self>);
}

/// What runs a batch.
pub trait Execute<W>: Send + 'static {
    /// Runs the works as one batch and answers every one of them.
    ///
    /// The works are mutually compatible with the first, in the order of the queue, and never
    /// none. A panic is caught and counted, and drops the works: see [`Work`].
    fn execute(&mut self, batch: Vec<W>);
}
