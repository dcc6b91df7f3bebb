//! A place where one thread waits for the answer to its request.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use tidegate_schema::{Result, Tensor};

use crate::work::Reply;

#[derive(Default)]
pub(crate) struct Parked {
    outcome: Mutex<Option<Result<Vec<Tensor>>>>,
    answered: Condvar,
}

impl Parked {
    pub fn reply(self: &Arc<Self>) -> Reply {
        let parked = Arc::clone(self);
        Box::new(move |outcome| {
            let mut place = parked
                .outcome
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *place = Some(outcome);
            drop(place);
            parked.answered.notify_one();
        })
    }

    /// The outcome, or `None` when the deadline passed first.
    pub fn wait(&self, deadline: Option<Instant>) -> Option<Result<Vec<Tensor>>> {
        let mut place = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = place.take() {
                return Some(outcome);
            }
            place = match deadline {
                None => self
                    .answered
                    .wait(place)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.answered
                        .wait_timeout(place, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}
