//! Tasks that end with whoever waits for them.

use tokio::task::AbortHandle;

/// Ends a task when dropped.
#[derive(Debug)]
pub struct Aborting(pub AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
