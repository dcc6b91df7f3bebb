//! What all models of a runtime share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tidegate_predictionlog::log::Log;
use tidegate_schema::{Error, ErrorKind, Result};

use crate::alarms::Alarms;
use crate::feedback::{Book, Settings};
use crate::id::Ids;
use crate::observe::Observer;
use crate::options::{Clock, Options};

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const FORKED: u8 = 2;

/// What all models of a runtime share.
pub(crate) struct Shared {
    pub ids: Ids,
    pub clock: Clock,
    pub observer: Observer,
    pub alarms: Alarms,
    pub book: Arc<Book>,
    pub log: Option<Arc<Log>>,
    state: AtomicU8,
}

impl Shared {
    pub fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            ids: Ids::new(),
            clock: options.clock.clone(),
            observer: Observer::new(options.observation_bytes)?,
            alarms: Alarms::default(),
            log: options.log.clone(),
            book: Arc::new(Book::open(Settings {
                bytes: options.feedback_bytes,
                folder: options.feedback_folder.clone(),
                window_seconds: options.quality_seconds,
                log: options.log.clone(),
            })?),
            state: AtomicU8::new(OPEN),
        })
    }

    pub fn now(&self) -> f64 {
        (self.clock)()
    }

    /// False when it was closed before.
    pub fn close(&self) -> bool {
        let closed = self
            .state
            .compare_exchange(OPEN, CLOSED, Ordering::AcqRel, Ordering::Acquire);
        closed.is_ok()
    }

    pub fn fork(&self) {
        self.state.store(FORKED, Ordering::Release);
    }

    pub fn is_forked(&self) -> bool {
        self.state.load(Ordering::Acquire) == FORKED
    }

    pub fn check_open(&self) -> Result<()> {
        match self.state.load(Ordering::Acquire) {
            OPEN => Ok(()),
            FORKED => Err(Error::new(
                ErrorKind::Closed,
                "this runtime was made before a fork and has no threads in this process: make a new one after forking",
            )),
            _ => Err(Error::new(
                ErrorKind::Closed,
                "the runtime is closed: make a new one",
            )),
        }
    }
}
