//! Answers for asyncio: one wake-up descriptor per event loop.
//!
//! Workers push finished answers and write the descriptor once for all that gather; the loop reads
//! it, drains the answers and completes its futures. No Rust future is ever awaited from Python.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use tidegate_schema::{Error, Result};

use crate::errors::raise;

/// Makes the Python value of an answer; called in the event loop's thread.
type Convert = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// The place where workers leave answers for one event loop.
pub struct Mailbox {
    wake: OwnedFd,
    arrived: Mutex<Vec<(u64, Convert)>>,
}

impl Mailbox {
    fn new() -> Result<Self> {
        // SAFETY: eventfd has no preconditions; a negative result is checked below.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            let error = std::io::Error::last_os_error();
            return Err(Error::internal(format!(
                "no wake-up descriptor for the event loop: {error}"
            )));
        }
        // SAFETY: the descriptor is fresh and owned by nobody else.
        let wake = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            wake,
            arrived: Mutex::new(Vec::new()),
        })
    }

    /// Leaves an answer and wakes the loop, unless an answer that it has not fetched woke it.
    pub fn push(
        &self,
        token: u64,
        convert: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static,
    ) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.push((token, Box::new(convert)));
        if arrived.len() == 1 {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight initialised bytes and an open descriptor. The write can only fail when
            // the counter is full, and then the loop is awake already.
            unsafe { libc::write(self.wake.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    fn take(&self) -> Vec<(u64, Convert)> {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes and an open, non-blocking descriptor. Reading before taking
        // means that an answer pushed after the take wakes the loop again.
        unsafe {
            libc::read(
                self.wake.as_raw_fd(),
                count.as_mut_ptr().cast(),
                count.len(),
            )
        };
        std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answers on their way to one event loop. Used by `tidegate.runtime`, not by people.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Completions {
    mailbox: Arc<Mailbox>,
}

impl Completions {
    /// Where workers leave the answers.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self {
            mailbox: Arc::new(Mailbox::new().map_err(raise)?),
        })
    }

    /// The descriptor that turns readable when answers wait.
    fn fileno(&self) -> i32 {
        self.mailbox.wake.as_raw_fd()
    }

    /// The answers that arrived: (token, result or None, exception or None).
    #[allow(clippy::type_complexity)]
    fn drain(&self, py: Python<'_>) -> Vec<(u64, Option<Py<PyAny>>, Option<Py<PyAny>>)> {
        self.mailbox
            .take()
            .into_iter()
            .map(|(token, convert)| match convert(py) {
                Ok(value) => (token, Some(value), None),
                Err(error) => (token, None, Some(error.into_value(py).into_any())),
            })
            .collect()
    }
}
