//! One thread that does things at a time: answers requests whose deadline has come although their
//! model is busy or hangs. It sleeps unless something is set, and is not started before.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// What is done at the time.
type Call = Box<dyn FnOnce() + Send>;
/// Of two at the same time the one that was set first goes first.
type Key = (Instant, u64);

#[derive(Default)]
struct State {
    calls: BTreeMap<Key, Call>,
    set: u64,
    /// When the thread wakes by itself.
    wakes: Option<Instant>,
    closed: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clockwork {
    state: Mutex<State>,
    earlier: Condvar,
}

/// Things to do at a time.
#[derive(Default)]
pub(crate) struct Alarms(Arc<Clockwork>);

/// One thing to be done; dropping it takes it back.
pub(crate) struct Alarm {
    clockwork: Arc<Clockwork>,
    key: Key,
}

impl Alarms {
    /// Calls at a time, in a thread of its own; the call must be quick. Without effect after
    /// [`Alarms::close`], or if the system gives no thread.
    pub fn set(&self, at: Instant, call: impl FnOnce() + Send + 'static) -> Alarm {
        let mut state = self.0.lock();
        state.set += 1;
        let key = (at, state.set);
        let alarm = Alarm {
            clockwork: Arc::clone(&self.0),
            key,
        };
        if state.closed {
            return alarm;
        }
        state.calls.insert(key, Box::new(call));
        if state.thread.is_none() {
            let clockwork = Arc::clone(&self.0);
            let builder = thread::Builder::new().name("tidegate-alarms".to_owned());
            state.thread = builder.spawn(move || clockwork.run()).ok();
        }
        let sooner = state.wakes.is_none_or(|wakes| at < wakes);
        drop(state);
        if sooner {
            self.0.earlier.notify_one();
        }
        alarm
    }

    /// Ends the thread. What is set is not done any more.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let calls = std::mem::take(&mut state.calls);
        let thread = state.thread.take();
        drop(state);
        drop(calls);
        self.0.earlier.notify_one();
        // A call may be what closes; it cannot wait for its own end.
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // Calls that panic are caught, so there is no other outcome to report.
            let _ = thread.join();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let call = self.clockwork.lock().calls.remove(&self.key);
        // What the call holds is let go outside of the lock.
        drop(call);
    }
}

impl Clockwork {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let first = state.calls.first_key_value().map(|((at, _), _)| *at);
            state.wakes = first;
            let now = Instant::now();
            state = match first {
                None => self
                    .earlier
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) if at > now => {
                    let waited = self.earlier.wait_timeout(state, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                Some(_) => {
                    let call = state.calls.pop_first();
                    drop(state);
                    if let Some((_, call)) = call {
                        let _ = catch_unwind(AssertUnwindSafe(call));
                    }
                    self.lock()
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What has been said, and when.
    #[derive(Default)]
    struct Said {
        words: Mutex<Vec<(&'static str, Instant)>>,
        more: Condvar,
    }

    #[test]
    fn what_is_set_is_done_in_order_and_what_is_taken_back_is_not() {
        let (alarms, said) = (Alarms::default(), Arc::new(Said::default()));
        let say = |word: &'static str| {
            let said = Arc::clone(&said);
            move || {
                said.words.lock().unwrap().push((word, Instant::now()));
                said.more.notify_all();
            }
        };
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let late = alarms.set(after(60), say("late"));
        let early = alarms.set(after(30), say("early"));
        let panics = alarms.set(after(40), || panic!("in the call"));
        drop(alarms.set(after(35), say("taken back")));
        let never = alarms.set(after(3_600_000), say("never"));
        {
            let words = said.words.lock().unwrap();
            let patience = Duration::from_secs(60);
            let waited = |words: &mut Vec<_>| words.len() < 2;
            let (words, _) = said
                .more
                .wait_timeout_while(words, patience, waited)
                .unwrap();
            let due = [("early", after(30)), ("late", after(60))];
            assert_eq!(words.len(), due.len());
            for ((word, when), (due, at)) in words.iter().zip(due) {
                assert_eq!(*word, due);
                assert!(*when >= at);
            }
        }
        alarms.close();
        drop((late, early, panics, never));
        drop(alarms.set(now, say("closed")));
        assert_eq!(said.words.lock().unwrap().len(), 2);
    }
}
