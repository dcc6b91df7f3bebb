//! Tasks that end with whoever waits for them.

use hyper::rt::Executor;
use tokio::task::AbortHandle;

/// Ends a task when dropped.
#[derive(Debug)]
pub struct Aborting(pub AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the requests of an HTTP/2 connection as tasks of this thread.
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, request: F) {
        tokio::task::spawn_local(request);
    }
}
