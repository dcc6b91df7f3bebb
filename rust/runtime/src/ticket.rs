//! The hold that a caller has on a request under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request under way. Dropping it cancels the request: if it is still in the queue it is never
/// run, and its callback hears `Cancelled`.
#[derive(Debug)]
#[must_use = "dropping a ticket cancels its request: keep it, or call detach"]
pub struct Ticket {
    cancelled: Option<Arc<AtomicBool>>,
}

impl Ticket {
    pub(crate) fn new(cancelled: Arc<AtomicBool>) -> Self {
        Self {
            cancelled: Some(cancelled),
        }
    }

    /// Nobody waits any more. A batch that is running is not stopped; its answer comes still.
    pub fn cancel(self) {
        drop(self);
    }

    /// Lets the request run to its end without a hold on it.
    pub fn detach(mut self) {
        self.cancelled = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.cancelled {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
}
