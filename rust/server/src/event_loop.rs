//! The event loop of a thread that serves.

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::turn;

/// Most threads for work that would hold up an event loop: very large bodies, drift reports.
const MOST_BLOCKING_THREADS: usize = 4;
/// Most polls of tasks between two looks at the sockets. A request takes about five, so this is a
/// turn of some hundred requests.
const MOST_POLLED: u32 = 2048;

/// An event loop for this thread.
///
/// # Errors
/// When the system gives none.
pub fn event_loop() -> std::io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        // What another thread wakes is an answer of a model: it is sent before more is read. By
        // default a busy loop looks for such once in 31 tasks, so that answers wait for requests.
        .global_queue_interval(1)
        // A turn is all that was ready, not the first sixty of it.
        .event_interval(MOST_POLLED)
        .on_thread_unpark(turn::woken)
        .build_local(LocalOptions::default())
}
