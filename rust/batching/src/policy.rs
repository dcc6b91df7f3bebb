//! The decisions of batching, as pure functions: no clock, no lock, no thread.

use std::time::Duration;

/// The longest that a thread which has something else to do (an event loop) runs batches itself
/// in one turn. Above it the hand-off to the executor thread, two wake-ups, is the smaller evil:
/// one millisecond is what other connections of the loop may notice.
pub const INLINE_LIMIT: Duration = Duration::from_millis(1);

/// What becomes of the work at the front of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It joins the batch.
    Take,
    /// Nobody waits for it: it leaves the queue and is dropped.
    Discard,
    /// The batch ends before it; it stays at the front.
    Stop,
}

/// Cuts one batch from the front of a queue, a work at a time.
///
/// The order of arrival is kept: a work that does not fit, or is not compatible with the first,
/// ends the batch and begins the next one. The first live work is always taken, so that a work
/// larger than the maximum runs alone instead of never.
#[derive(Clone, Debug)]
pub struct Cutter {
    max_rows: usize,
    rows: usize,
    works: usize,
}

impl Cutter {
    /// A batch of at most `max_rows` rows.
    #[must_use]
    pub fn new(max_rows: usize) -> Self {
        Self {
            max_rows,
            rows: 0,
            works: 0,
        }
    }

    /// Decides about the work at the front. `compatible` is its relation to the first work taken,
    /// and is not looked at while there is none.
    pub fn consider(&mut self, rows: usize, abandoned: bool, compatible: bool) -> Fate {
        if abandoned {
            return Fate::Discard;
        }
        let total = self.rows.saturating_add(rows);
        if self.works > 0 && (total > self.max_rows || !compatible) {
            return Fate::Stop;
        }
        self.rows = total;
        self.works += 1;
        Fate::Take
    }

    /// The rows taken so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Who runs the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The thread that asks.
    Here,
    /// The executor thread.
    Executor,
}

/// Decides where the next batch runs, from the time that this thread has spent on batches in this
/// turn and the learned cost of the next one. A cost that is not known yet is taken as high.
#[must_use]
pub fn place(spent: Duration, estimate: Option<Duration>) -> Place {
    match estimate {
        Some(cost) if spent.saturating_add(cost) < INLINE_LIMIT => Place::Here,
        _ => Place::Executor,
    }
}
