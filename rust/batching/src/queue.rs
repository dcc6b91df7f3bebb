//! The queue: bounded in rows, in order of arrival, cut by the policy. Not shared: its owner
//! puts a lock around it.

use std::collections::VecDeque;
use std::fmt;

use crate::Work;
use crate::policy::{Cutter, Fate};

/// How much a batcher takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most rows that different works bring to one batch. A single work with more rows runs
    /// alone: to split it is the caller's business, who knows what its rows have in common.
    pub max_batch_rows: usize,
    /// The most rows that wait. A work that would exceed it is refused, so that a caller hears
    /// "try again later" while there is still time to.
    pub max_queue_rows: usize,
}

impl Default for Limits {
    /// 256 rows a batch, beyond which neither tree models nor small networks gain anything
    /// measurable on a processor, and 16,384 rows in the queue.
    fn default() -> Self {
        Self {
            max_batch_rows: 256,
            max_queue_rows: 16_384,
        }
    }
}

/// Why a work was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The queue has no room now.
    Full,
    /// The batcher is closed.
    Closed,
    /// The work alone has more rows than the queue may hold: it will never fit.
    TooLarge,
}

/// A work that was not accepted, given back.
pub struct Refused<W> {
    /// The work, untouched.
    pub work: W,
    /// Why it was refused.
    pub reason: Reason,
}

impl<W> fmt::Debug for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A batch that left the queue.
#[derive(Debug)]
pub struct Taken<W> {
    /// The works to execute, in order of arrival; empty when everything that waited was abandoned.
    pub batch: Vec<W>,
    /// Their rows.
    pub rows: usize,
    /// The works that nobody waits for, to be dropped outside of any lock.
    pub discarded: Vec<W>,
}

/// Works in order of arrival.
#[derive(Debug)]
pub struct Queue<W> {
    works: VecDeque<(usize, W)>,
    rows: usize,
    weight: usize,
    limits: Limits,
}

impl<W: Work> Queue<W> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            works: VecDeque::new(),
            rows: 0,
            weight: 0,
            limits,
        }
    }

    /// Puts a work at the end.
    ///
    /// # Errors
    /// Gives the work back when its rows do not fit. A work without rows weighs as one row, so
    /// that empty requests are bounded too.
    pub fn push(&mut self, work: W) -> Result<(), Refused<W>> {
        let rows = work.rows();
        let refuse = |work, reason| Err(Refused { work, reason });
        if rows > self.limits.max_queue_rows {
            return refuse(work, Reason::TooLarge);
        }
        let weight = self.weight.saturating_add(rows.max(1));
        if weight > self.limits.max_queue_rows {
            return refuse(work, Reason::Full);
        }
        self.weight = weight;
        self.rows += rows;
        self.works.push_back((rows, work));
        Ok(())
    }

    /// Cuts the next batch, or nothing when the queue is empty.
    pub fn take(&mut self) -> Option<Taken<W>> {
        if self.works.is_empty() {
            return None;
        }
        let mut cutter = Cutter::new(self.limits.max_batch_rows);
        let mut batch: Vec<W> =
            Vec::with_capacity(self.works.len().min(self.limits.max_batch_rows));
        let mut discarded = Vec::new();
        while let Some((rows, work)) = self.works.pop_front() {
            let abandoned = work.abandoned();
            let compatible = batch.first().is_none_or(|first| first.compatible(&work));
            match cutter.consider(rows, abandoned, compatible) {
                Fate::Take => batch.push(work),
                Fate::Discard => discarded.push(work),
                Fate::Stop => {
                    self.works.push_front((rows, work));
                    break;
                }
            }
            self.rows -= rows;
            self.weight -= rows.max(1);
        }
        Some(Taken {
            batch,
            rows: cutter.rows(),
            discarded,
        })
    }

    /// The most rows that the next batch can have: the estimate of its cost needs no more.
    #[must_use]
    pub fn next_rows(&self) -> usize {
        let first = self.works.front().map_or(0, |(rows, _)| *rows);
        self.rows.min(self.limits.max_batch_rows).max(first)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    /// The rows that wait.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}
