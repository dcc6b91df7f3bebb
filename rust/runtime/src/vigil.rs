//! Sees to it that what waits for a model is refused when it has no use any more, also while no
//! instance takes from the queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_batching::Batcher;

use crate::alarms::Alarm;
use crate::shared::Shared;
use crate::work::{Executor, Job};

/// The least time between two looks at one queue: each looks at all that waits. Normally batches
/// take from it, and refuse what is late, far more often.
const PAUSE: Duration = Duration::from_millis(5);

/// The queue of one model, looked at when something in it is due.
pub(crate) struct Vigil {
    shared: Arc<Shared>,
    batcher: Arc<Batcher<Job, Executor>>,
    next: Mutex<Option<(Instant, Alarm)>>,
}

impl Vigil {
    pub fn new(shared: Arc<Shared>, batcher: Arc<Batcher<Job, Executor>>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            batcher,
            next: Mutex::new(None),
        })
    }

    /// Something in the queue is due then, if it does not leave it before.
    pub fn watch(self: &Arc<Self>, due: Instant) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.as_ref().is_some_and(|(set, _)| *set <= due) {
            return;
        }
        let vigil = Arc::downgrade(self);
        let alarm = self.shared.alarms.set(due, move || {
            if let Some(vigil) = vigil.upgrade() {
                vigil.look();
            }
        });
        *next = Some((due, alarm));
    }

    fn look(self: &Arc<Self>) {
        let set = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(set);
        if let Some(due) = self.batcher.expire() {
            self.watch(due.max(Instant::now() + PAUSE));
        }
    }
}
