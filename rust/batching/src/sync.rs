//! The primitives of [`crate::Batcher`]: the standard library's, or loom's when the order of
//! threads is being explored (`--cfg loom`).

use std::cell::Cell;
use std::sync::{PoisonError, TryLockError};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

/// Locks, whatever a panic elsewhere did: the executor's panics are caught before the guard
/// drops, so what a lock protects is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks if nobody holds the lock.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Lets another thread run that waits for this core, if there is one.
pub(crate) fn give_way() {
    #[cfg(not(loom))]
    thread::yield_now();
}

/// Waits for a notification; may wake without one.
pub(crate) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(loom)]
loom::thread_local! {
    static DEPTH: Cell<usize> = Cell::new(0);
}
#[cfg(not(loom))]
std::thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Marks that this thread is inside an executor, so that closing from there does not wait for
/// itself.
pub(crate) struct Inside;

impl Inside {
    pub(crate) fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }

    pub(crate) fn any() -> bool {
        DEPTH.with(|depth| depth.get() > 0)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}
