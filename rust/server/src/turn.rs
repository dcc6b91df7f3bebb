//! The turn of the event loop: what has arrived is queued before the model is given work.
//!
//! A handler queues its work and says so here. The first one of a turn wakes the flusher, which
//! yields once. tokio polls its sockets before it runs a task that has yielded, so every request
//! that is readable by then is decoded and queued first, and the model runs them as one batch.
//! An idle server loses one poll of its sockets by this (under a microsecond), a busy one gains
//! its batches. There is no timer.
//!
//! A request also waits before it is read, while the loop is at others or runs the model: nobody
//! sees that but the client. The turn knows since when the loop has not looked at its sockets, which
//! is about how long that was.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_runtime::Model;

use crate::intake::Intake;

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

thread_local! {
    /// When this thread's loop last woke from sleep, where it says so.
    static WOKEN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The loop of this thread has woken from sleep: what is readable now has not waited.
pub fn woken() {
    WOKEN.set(Some(Instant::now()));
}

/// The queues that got work in this turn. One for each worker.
#[derive(Debug)]
pub struct Turn<F> {
    queued: RefCell<Vec<Arc<F>>>,
    /// What the turn may read.
    pub intake: Rc<Intake>,
    /// When the loop last went to look at its sockets, and how long it had not by then.
    looked: Cell<Option<Instant>>,
    away: Cell<Duration>,
}

impl<F> Turn<F> {
    /// A turn that reads what this intake lets in.
    pub fn new(intake: Intake) -> Self {
        Self {
            queued: RefCell::new(Vec::new()),
            intake: Rc::new(intake),
            looked: Cell::new(None),
            away: Cell::new(Duration::ZERO),
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
            self.intake.due.notify_one();
        }
    }

    /// How long a request that is being read has waited, and has yet to wait until the turn ends.
    /// Where nobody knows since when it could be read, about so: since the loop looked at its
    /// sockets, and half of the time in which it did not before that, or since it woke from sleep.
    pub fn waited(&self, readable: Option<Instant>) -> Duration {
        let now = Instant::now();
        let since = |then| now.saturating_duration_since(then);
        let Some(looked) = self.looked.get() else {
            return readable.map(since).unwrap_or_default();
        };
        let rest = self.intake.expected().saturating_sub(since(looked));
        match (readable, WOKEN.get()) {
            (Some(readable), _) => since(readable) + rest,
            (None, Some(woken)) if woken >= looked => since(woken),
            (None, _) => self.away.get() / 2 + since(looked) + rest,
        }
    }

    /// How long the loop has not looked at its sockets, and was awake.
    fn awake(&self) -> Duration {
        let before = self.looked.get().into_iter().chain(WOKEN.get()).max();
        before.map(|before| before.elapsed()).unwrap_or_default()
    }

    /// The loop goes to look at its sockets.
    fn look(&self) {
        let now = Instant::now();
        let before = self.looked.replace(Some(now));
        let before = before.into_iter().chain(WOKEN.get()).max();
        let away = before.map(|before| now.saturating_duration_since(before));
        self.away.set(away.unwrap_or_default());
    }

    /// Flushes at the end of each turn, for ever. Runs as one task of its worker.
    pub async fn run(&self) {
        let mut due = Vec::new();
        loop {
            self.intake.due.notified().await;
            tokio::task::yield_now().await;
            // The vectors change places, so that neither is allocated again. A flush may run the
            // model here, and the handlers that it wakes may queue more: that is the next turn.
            std::mem::swap(&mut *self.queued.borrow_mut(), &mut due);
            let reading = self.awake();
            for queue in due.drain(..) {
                queue.flush();
            }
            self.look();
            self.intake.turn(reading, self.away.get(), Instant::now());
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
            let turn = Rc::new(Turn::new(Intake::new(|| None)));
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
    fn what_is_read_late_has_waited() {
        let pause = Duration::from_millis(5);
        let turn = Turn::<Queue>::new(Intake::new(|| None));
        assert_eq!(turn.waited(None), Duration::ZERO, "nothing is known yet");
        turn.look();
        std::thread::sleep(pause);
        assert!(turn.waited(None) >= pause);
        // The loop was away for so long, and has just looked.
        turn.look();
        let waited = turn.waited(None);
        assert!(waited >= pause / 2, "{waited:?}");
        let begin = Instant::now();
        woken();
        let waited = turn.waited(None);
        assert!(waited <= begin.elapsed(), "{waited:?}");
    }

    #[test]
    fn a_queue_is_flushed_once_a_turn_and_each_queue_is() {
        local(async {
            let turn = Rc::new(Turn::new(Intake::new(|| None)));
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
