//! The decisions of batching, as pure functions: no clock, no lock, no thread.

use std::time::Duration;

use crate::cost::CostCurve;

/// The longest that a thread which has something else to do (an event loop) runs batches itself
/// in one turn. Above it the hand-off to an executor thread, two wake-ups, is the smaller evil:
/// one millisecond is what other connections of the loop may notice.
pub const INLINE_LIMIT: Duration = Duration::from_millis(1);

/// Below this cost a batch is not shared out to other idle instances: waking a thread costs a
/// good part of it.
pub const SHARE_ABOVE: Duration = Duration::from_micros(200);

/// Most works that a batch passes over because they do not fit together with its first one. They
/// stay where they are, and the first of them leads the next batch.
pub const MAX_PASSED_OVER: usize = 64;

/// What becomes of the work whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It joins the batch.
    Take,
    /// It cannot share a batch with the first one: it keeps its place, and the next is looked at.
    PassOver,
    /// The batch ends before it.
    Stop,
}

/// Cuts one batch, a work at a time.
///
/// The first work is always taken, so that a work larger than the limit runs alone instead of
/// never, and one that shares with nobody is not starved by those that do.
#[derive(Clone, Debug)]
pub struct Cutter {
    limit: usize,
    rows: usize,
    works: usize,
    passed_over: usize,
}

impl Cutter {
    /// A batch of at most `limit` rows.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            rows: 0,
            works: 0,
            passed_over: 0,
        }
    }

    /// Decides about the work whose turn it is. `compatible` is its relation to the first work
    /// taken, and is not looked at while there is none; `within` is the most rows that the batch
    /// may have for this work to be in time.
    pub fn consider(&mut self, rows: usize, compatible: bool, within: usize) -> Fate {
        if self.works > 0 && !compatible {
            self.passed_over += 1;
            return if self.passed_over > MAX_PASSED_OVER {
                Fate::Stop
            } else {
                Fate::PassOver
            };
        }
        let total = self.rows.saturating_add(rows);
        if self.works > 0 && total > self.limit.min(within) {
            return Fate::Stop;
        }
        self.limit = self.limit.min(within);
        self.rows = total;
        self.works += 1;
        Fate::Take
    }

    /// Can no other work join?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.works > 0 && self.rows >= self.limit
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

/// How many of the waiting rows one instance takes when `idle` others have nothing to do: its share
/// if the batch is dear enough to wake them, otherwise all.
#[must_use]
pub fn share(rows: usize, idle: usize, cost: Option<Duration>) -> usize {
    match cost {
        Some(cost) if idle > 0 && cost > SHARE_ABOVE => rows.div_ceil(idle + 1),
        _ => rows,
    }
}

/// When a work would begin and finish, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// When its batch begins.
    pub start: Duration,
    /// When its batch ends.
    pub finish: Duration,
}

/// What is ahead of a work, and who runs it.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Rows that run before it.
    pub rows: usize,
    /// The size of the batches in which they run.
    pub size: usize,
    /// Instances that run them.
    pub instances: usize,
    /// Until one of these is free.
    pub busy: Duration,
    /// Does its own batch have to be in time even if others fill it up behind it?
    pub fill: bool,
}

/// Predicts when `rows` rows would be answered; nothing while no cost is known.
#[must_use]
pub fn forecast(curve: &CostCurve, ahead: Ahead, rows: usize) -> Option<Forecast> {
    let Ahead {
        size,
        instances,
        busy,
        ..
    } = ahead;
    let (mut start, mut last) = (busy, ahead.rows.saturating_add(rows));
    if last > size {
        // The own rows end in the last batch, with what is left of those ahead.
        let full = ahead.rows / size.max(1);
        last = (last - full * size).min(size.max(rows));
        // Deviations of many batches cancel each other.
        let (mean, bound) = (curve.estimate(size)?, curve.bound(size)?);
        let spread = bound.saturating_sub(mean).as_secs_f64();
        let full = full as f64;
        let seconds = mean.as_secs_f64() * full + spread * full.sqrt();
        let seconds = seconds / instances.max(1) as f64;
        let before = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        start = start.saturating_add(before);
    }
    let own = if ahead.fill { last.max(size) } else { last };
    let finish = start.saturating_add(curve.bound(own)?);
    Some(Forecast { start, finish })
}

/// The size of batch for the best throughput of which one can be waited for and another run
/// within `time`: larger ones would make those late that come while one runs.
#[must_use]
pub fn steady(curve: &CostCurve, most: usize, time: Duration) -> usize {
    curve
        .best(most)
        .min(curve.rows_within(time / 2, most))
        .max(1)
}

/// Is it better to refuse the first of those that wait than to run the small batch that it allows?
///
/// Where more comes than can be served, a small batch makes the next first one later still, until
/// all batches are small. `within` rows are in time for the first one, where `waiting` rows wait
/// and batches of `steady` rows could be run.
#[must_use]
pub fn hampers(within: usize, waiting: usize, steady: usize) -> bool {
    within < steady.min(waiting) / 2
}
