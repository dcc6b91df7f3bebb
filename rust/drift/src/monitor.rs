//! Tumbling windows over the live path, by count and by time.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_schema::{Error, Result, Table};

use crate::{Baseline, Report, Window, WindowReport};

/// Closed windows that are kept unless told otherwise.
pub const HISTORY: usize = 48;
/// Most closed windows that can be kept: a bound on memory and on the size of a report.
pub const MAX_HISTORY: usize = 1_000;
/// Most bytes of a window's label, which may come from a request.
pub const LABEL_LIMIT: usize = 200;

/// When a window closes: at whichever bound comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Rows in a window; `u64::MAX` for no bound.
    pub rows: u64,
    /// Seconds that a window spans; infinity for no bound.
    pub seconds: f64,
}

impl Default for Windows {
    /// Ten thousand rows or an hour.
    fn default() -> Self {
        Self {
            rows: 10_000,
            seconds: 3_600.0,
        }
    }
}

/// Counts live rows into windows and keeps the last closed ones.
///
/// One owner at a time; time is whatever clock the caller passes as `now`, in seconds. A clock
/// that steps back or is not finite counts as standing still.
#[derive(Clone, Debug)]
pub struct Monitor {
    baseline: Arc<Baseline>,
    windows: Windows,
    history: usize,
    open: Window,
    closed: VecDeque<Window>,
    now: f64,
    rows: u64,
}

impl Monitor {
    /// A monitor whose first window begins at `now`.
    pub fn new(baseline: Arc<Baseline>, windows: Windows, now: f64) -> Result<Self> {
        if windows.rows == 0 {
            return Err(Error::invalid(
                "windows of 0 rows: use at least 1, or leave windows to time",
            ));
        }
        if windows.seconds.is_nan() || windows.seconds <= 0.0 {
            return Err(Error::invalid(format!(
                "windows of {} seconds: use a positive number, or infinity",
                windows.seconds
            )));
        }
        let now = if now.is_finite() { now } else { 0.0 };
        Ok(Self {
            open: Window::new(&baseline, now),
            baseline,
            windows,
            history: HISTORY,
            closed: VecDeque::new(),
            now,
            rows: 0,
        })
    }

    /// Keeps another number of closed windows: 1 to [`MAX_HISTORY`].
    pub fn with_history(mut self, windows: usize) -> Result<Self> {
        if !(1..=MAX_HISTORY).contains(&windows) {
            return Err(Error::invalid(format!(
                "a history of {windows} windows: use 1 to {MAX_HISTORY} (the default is {HISTORY})"
            )));
        }
        self.history = windows;
        Ok(self)
    }

    /// Counts the rows of a table: the input columns, then the output columns. A table that fills
    /// the open window is split: the window closes with exactly its number of rows and the rest
    /// goes on in the next. Nothing is counted when the columns do not fit.
    pub fn observe(&mut self, table: &Table<'_>, now: f64) -> Result<()> {
        self.baseline.check(table)?;
        self.advance(now);
        let mut done = 0;
        while done < table.rows() {
            let left = table.rows() - done;
            let room = self.windows.rows - self.open.rows;
            let take = usize::try_from(room).map_or(left, |room| left.min(room));
            if take == table.rows() {
                self.open.count(&self.baseline, table);
            } else {
                self.open.count(&self.baseline, &table.slice(done, take));
            }
            done += take;
            self.rows += take as u64;
            self.open.end = self.now;
            if self.open.rows >= self.windows.rows {
                self.cut(self.now, self.now, None);
            }
        }
        Ok(())
    }

    /// Closes the open window if its time is over. Windows stand on a grid from the last cut on;
    /// spans without a row leave no window.
    pub fn advance(&mut self, now: f64) {
        if now.is_finite() && now > self.now {
            self.now = now;
        }
        let spans = ((self.now - self.open.start) / self.windows.seconds).floor();
        if spans >= 1.0 {
            let end = self.open.start + self.windows.seconds;
            let next = (self.open.start + spans * self.windows.seconds).min(self.now);
            self.cut(end, next, None);
        }
    }

    /// Closes the open window now and gives it a label (a month, a release) of at most
    /// [`LABEL_LIMIT`] bytes. A window without rows is not closed: the answer is then false.
    pub fn close(&mut self, now: f64, label: Option<&str>) -> Result<bool> {
        if let Some(label) = label
            && label.len() > LABEL_LIMIT
        {
            return Err(Error::invalid(format!(
                "a label of {} bytes: use at most {LABEL_LIMIT}",
                label.len()
            )));
        }
        self.advance(now);
        let any = self.open.rows > 0;
        self.cut(self.now, self.now, label.map(str::to_owned));
        Ok(any)
    }

    /// Moves the open window to the history, if it has rows, and begins the next.
    fn cut(&mut self, end: f64, next: f64, label: Option<String>) {
        if self.open.rows == 0 {
            self.open.start = next;
            self.open.end = next;
            return;
        }
        let fresh = Window::new(&self.baseline, next);
        let mut closed = std::mem::replace(&mut self.open, fresh);
        closed.end = end;
        closed.label = label;
        if self.closed.len() >= self.history {
            self.closed.pop_front();
        }
        self.closed.push_back(closed);
    }

    /// What is compared with.
    #[must_use]
    pub const fn baseline(&self) -> &Arc<Baseline> {
        &self.baseline
    }

    /// The bounds of a window.
    #[must_use]
    pub const fn windows(&self) -> Windows {
        self.windows
    }

    /// Rows observed since the beginning, those of forgotten windows among them.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The closed windows, oldest first.
    pub fn closed(&self) -> impl ExactSizeIterator<Item = &Window> {
        self.closed.iter()
    }

    /// The window that grows.
    #[must_use]
    pub const fn open(&self) -> &Window {
        &self.open
    }

    /// Compares every kept window with the baseline, oldest first; the last is the open one, if
    /// it has rows.
    pub fn report(&mut self, now: f64) -> Report {
        self.advance(now);
        let open = (self.open.rows > 0).then_some((&self.open, false));
        let closed = self.closed.iter().map(|window| (window, true));
        Report::new(&self.baseline, closed.chain(open))
    }

    /// The last closed window compared with the baseline: what gauges show. The open window would
    /// make them jump at every cut.
    pub fn latest(&mut self, now: f64) -> Option<WindowReport> {
        self.advance(now);
        let window = self.closed.back()?;
        Some(WindowReport::new(&self.baseline, window, true))
    }
}
