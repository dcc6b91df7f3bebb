//! What a batcher is told: one objective at most, and bounds.

use std::time::Duration;

/// Most instances of one backend.
pub const MAX_INSTANCES: usize = 64;

/// The longest objective or delay: beyond it, it is none.
pub const MAX_TIME: Duration = Duration::from_secs(24 * 3600);

/// How much a batcher takes, and how late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most rows that different works bring to one batch. A single work with more rows runs
    /// alone: to split it is the caller's business, who knows what its rows have in common.
    pub max_batch_rows: usize,
    /// The most rows that wait. A work that would exceed it is refused, so that a caller hears
    /// "try again later" while there is still time to.
    pub max_queue_rows: usize,
    /// The most bytes that wait.
    pub max_queue_bytes: usize,
    /// The time within which every work is to be answered. One that is predicted to take longer is
    /// refused at once, one that no longer can make it is dropped; without an objective only the
    /// deadlines of the works themselves count.
    pub objective: Option<Duration>,
    /// The longest that a work may wait before its batch begins.
    pub max_delay: Option<Duration>,
}

impl Default for Limits {
    /// 256 rows a batch, beyond which neither tree models nor small networks gain anything
    /// measurable on a processor; 16,384 rows or 256 MiB in the queue.
    fn default() -> Self {
        Self {
            max_batch_rows: 256,
            max_queue_rows: 16_384,
            max_queue_bytes: 256 << 20,
            objective: None,
            max_delay: None,
        }
    }
}

impl Limits {
    /// Is there a time within which works are to be answered or begun?
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.objective.is_some() || self.max_delay.is_some()
    }

    /// What is wrong with them, as a sentence.
    ///
    /// # Errors
    /// When a limit is zero, or a time longer than [`MAX_TIME`].
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [
            ("max_batch_rows", self.max_batch_rows),
            ("max_queue_rows", self.max_queue_rows),
            ("max_queue_bytes", self.max_queue_bytes),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0: give at least 1"));
            }
        }
        for (name, time) in [("objective", self.objective), ("max_delay", self.max_delay)] {
            if let Some(time) = time
                && (time.is_zero() || time > MAX_TIME)
            {
                return Err(format!(
                    "{name} is {time:?}: give a time above 0 and of at most a day, or none"
                ));
            }
        }
        Ok(())
    }
}
