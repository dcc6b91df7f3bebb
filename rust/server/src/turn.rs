//! The turn of the event loop: what has arrived is queued before the model is given work.
//!
//! A handler queues its work and says so here. The first one of a turn wakes the flusher, which
//! yields once. tokio polls its sockets before it runs a task that has yielded, so every request
//! that is readable by then is decoded and queued first, and the model runs them as one batch.
//! An idle server loses one poll of its sockets by this (under a microsecond), a busy one gains
//! its batches. There is no timer.

use std::cell::RefCell;
use std::sync::Arc;

use tidegate_runtime::Model;
use tokio::sync::Notify;

/// Something with a queue that is to be looked at when the turn ends.
pub trait Flush {
    /// The queue may have work.
    fn flush(&self);
}

impl Flush for Model {
    fn flush(&self) {
        Self::flush(self);
    }
}

/// The queues that got work in this turn. One for each worker.
#[derive(Debug)]
pub struct Turn<F> {
    queued: RefCell<Vec<Arc<F>>>,
    begun: Notify,
}

impl<F> Default for Turn<F> {
    fn default() -> Self {
        Self {
            queued: RefCell::new(Vec::new()),
            begun: Notify::new(),
        }
    }
}

impl<F: Flush> Turn<F> {
    /// Notes that a queue got work.
    pub fn queued(&self, queue: &Arc<F>) {
        let mut queued = self.queued.borrow_mut();
        if queued.iter().any(|known| Arc::ptr_eq(known, queue)) {
            return;
        }
        queued.push(Arc::clone(queue));
        if queued.len() == 1 {
            self.begun.notify_one();
        }
    }

    /// Flushes at the end of each turn, for ever. Runs as one task of its worker.
    pub async fn run(&self) {
        let mut due = Vec::new();
        loop {
            self.begun.notified().await;
            tokio::task::yield_now().await;
            // The vectors change places, so that neither is allocated again. A flush may run the
            // model here, and the handlers that it wakes may queue more: that is the next turn.
            std::mem::swap(&mut *self.queued.borrow_mut(), &mut due);
            for queue in due.drain(..) {
                queue.flush();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncReadExt;

    #[derive(Default)]
    struct Queue {
        flushes: AtomicUsize,
    }

    impl Flush for Queue {
        fn flush(&self) {
            self.flushes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn local(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(future);
    }

    #[test]
    fn all_that_is_readable_is_queued_before_one_flush() {
        const CLIENTS: usize = 32;
        local(async {
            let turn = Rc::new(Turn::default());
            let queue = Arc::new(Queue::default());
            let arrived = Rc::new(Cell::new(0));
            let flusher = Rc::clone(&turn);
            tokio::task::spawn_local(async move { flusher.run().await });
            let mut ours = Vec::new();
            for _ in 0..CLIENTS {
                let (mine, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                theirs.set_nonblocking(true).unwrap();
                let mut theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
                let (turn, queue, arrived) =
                    (Rc::clone(&turn), Arc::clone(&queue), Rc::clone(&arrived));
                tokio::task::spawn_local(async move {
                    let mut byte = [0];
                    while theirs.read_exact(&mut byte).await.is_ok() {
                        arrived.set(arrived.get() + 1);
                        turn.queued(&queue);
                    }
                });
                ours.push(mine);
            }
            tokio::task::yield_now().await;
            for round in 1..=3 {
                // All bytes are in the kernel before the loop polls again.
                for stream in &mut ours {
                    std::io::Write::write_all(stream, b"x").unwrap();
                }
                while queue.flushes.load(Ordering::Relaxed) < round {
                    tokio::task::yield_now().await;
                }
                assert_eq!(arrived.get(), round * CLIENTS);
                assert_eq!(queue.flushes.load(Ordering::Relaxed), round);
            }
        });
    }

    #[test]
    fn a_queue_is_flushed_once_a_turn_and_each_queue_is() {
        local(async {
            let turn = Rc::new(Turn::default());
            let (one, two) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
            let flusher = Rc::clone(&turn);
            tokio::task::spawn_local(async move { flusher.run().await });
            for _ in 0..10 {
                turn.queued(&one);
                turn.queued(&two);
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(one.flushes.load(Ordering::Relaxed), 1);
            assert_eq!(two.flushes.load(Ordering::Relaxed), 1);
        });
    }
}
