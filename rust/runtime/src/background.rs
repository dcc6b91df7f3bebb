//! Work that must not slow down what is served: loading a model takes a core for longer than many
//! requests together.

use std::panic::resume_unwind;
use std::thread;

use tidegate_schema::{Error, ErrorKind, Result};

/// Does some work in a thread of the lowest priority, and waits for it.
///
/// Threads that the work starts have the lowest priority too: start those that serve elsewhere.
///
/// # Errors
/// Those of the work; `Backend` when the system gives no thread.
pub(crate) fn in_background<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("tidegate-load".to_owned());
        let thread = builder.spawn_scoped(scope, || {
            yield_to_all();
            work()
        });
        let thread = thread.map_err(|error| {
            let message = format!("no thread to load a model in: {error}");
            Error::new(ErrorKind::Backend, message)
        })?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The lowest priority for this thread. A thread cannot raise its own again without a privilege,
/// which is why it is not the caller's.
pub(crate) fn yield_to_all() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call reads its three numbers only. On Linux 0 is the calling thread, not its
    // process.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
}

/// Nothing but what no other thread wants, for this thread. Of the lowest priority alone it would still have
/// its turn, and once it has it keeps the core for a few milliseconds: a request that comes then waits so long.
/// A thread of this policy gives way at once. Whoever waits for a lock that it holds waits for an idle core:
/// so it may hold none that a request waits for.
pub(crate) fn take_what_is_left() {
    // Where the policy is not allowed the priority holds.
    yield_to_all();
    #[cfg(target_os = "linux")]
    {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the call reads the structure only. 0 is the calling thread.
        unsafe {
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_borrows_and_gives_and_its_panic_is_the_callers() {
        let mut numbers = vec![1, 2, 3];
        let name = in_background(|| {
            numbers.push(4);
            Ok(thread::current().name().map(str::to_owned))
        });
        let name = name.unwrap();
        assert_eq!((name.as_deref(), numbers.len()), (Some("tidegate-load"), 4));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let panic = std::panic::catch_unwind(|| in_background::<()>(|| panic!("in the work")));
        std::panic::set_hook(hook);
        assert!(panic.is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_work_has_the_lowest_priority() {
        let priority = || {
            // SAFETY: as above; the calling thread's priority is read.
            Ok(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) })
        };
        let before = priority().unwrap();
        assert_eq!(in_background(priority).unwrap(), 19);
        assert_eq!(priority().unwrap(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_thread_that_asks_takes_what_is_left() {
        // SAFETY: as above; the calling thread's policy is read.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let before = policy();
        let idle = thread::spawn(move || {
            take_what_is_left();
            policy()
        });
        assert_eq!(idle.join().unwrap(), libc::SCHED_IDLE);
        assert_eq!(policy(), before);
    }
}
