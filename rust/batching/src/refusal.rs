//! Why a work is not executed.

use std::fmt;
use std::time::Duration;

/// Why a work is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The queue has no room for its rows now.
    Rows,
    /// The queue has no room for its bytes now.
    Bytes,
    /// The work alone exceeds what the queue may hold: it will never fit.
    TooLarge,
    /// It cannot be answered before its deadline, its own or the objective's.
    Deadline,
    /// It would wait, or has waited, longer than the longest delay.
    Delay,
    /// Nobody waits for it any more.
    Abandoned,
    /// The batcher is closed.
    Closed,
}

impl Reason {
    /// Every reason, for tables.
    pub const ALL: [Self; 7] = [
        Self::Rows,
        Self::Bytes,
        Self::TooLarge,
        Self::Deadline,
        Self::Delay,
        Self::Abandoned,
        Self::Closed,
    ];

    /// The name used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::TooLarge => "too_large",
            Self::Deadline => "deadline",
            Self::Delay => "delay",
            Self::Abandoned => "abandoned",
            Self::Closed => "closed",
        }
    }
}

/// That a work is not executed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// When it might fit, as far as that is known.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Would it fit if less waited?
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.reason, Reason::Rows | Reason::Bytes)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            retry_after: None,
        }
    }
}

/// A work that is not executed, given back.
pub struct Refused<W> {
    /// The work, untouched.
    pub work: W,
    /// Why.
    pub refusal: Refusal,
}

impl<W> fmt::Debug for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}
