//! Windows over the live path, by count and by time.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_schema::{Error, Result, Table};

use crate::decay::Decayed;
use crate::report::Views;
use crate::{
    AlarmOptions, Alarms, Baseline, Report, Segments, SegmentsReport, Snapshot, Window,
    WindowReport,
};

/// Closed windows that are kept unless told otherwise.
pub const HISTORY: usize = 48;
/// Most closed windows that can be kept: a bound on memory and on the size of a report.
pub const MAX_HISTORY: usize = 1_000;
/// Most bytes of a window's label, which may come from a request.
pub const LABEL_LIMIT: usize = 200;
/// Most windows whose time is over that wait for late rows at one time.
pub const MAX_PENDING: usize = 100;

/// When a window closes, at whichever bound comes first, and what is seen through several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Rows in a window; `u64::MAX` for no bound.
    pub rows: u64,
    /// Seconds that a window spans; infinity for no bound.
    pub seconds: f64,
    /// Do spans stand on multiples of `seconds`, so that those of several replicas are the same? Else
    /// they begin with the last cut.
    pub aligned: bool,
    /// Seconds that a window whose span is over waits for rows of its time.
    pub lateness: f64,
    /// Closed windows that the sliding window holds; it moves on by one with each. 1 for none.
    pub sliding: usize,
    /// Seconds in which the weight of a row halves in the decayed view; infinity for none.
    pub half_life: f64,
    /// Closed windows before each one that it is compared with; 0 for the baseline.
    pub trailing: usize,
}

impl Default for Windows {
    /// Ten thousand rows or an hour, compared with the baseline.
    fn default() -> Self {
        Self {
            rows: 10_000,
            seconds: 3_600.0,
            aligned: false,
            lateness: 0.0,
            sliding: 1,
            half_life: f64::INFINITY,
            trailing: 0,
        }
    }
}

impl Windows {
    /// Are the bounds possible?
    ///
    /// # Errors
    /// `InvalidInput` that names the first one that is not.
    pub fn check(&self) -> Result<()> {
        let fault = if self.rows == 0 {
            "windows of 0 rows: use at least 1, or leave windows to time".to_owned()
        } else if self.seconds.is_nan() || self.seconds <= 0.0 {
            format!(
                "windows of {} seconds: use a positive number, or infinity",
                self.seconds
            )
        } else if self.aligned && self.seconds.is_infinite() {
            "windows aligned to multiples of no bound: give them seconds".to_owned()
        } else if !(0.0..f64::INFINITY).contains(&self.lateness) {
            format!(
                "windows that wait {} seconds for late rows: use 0 or more",
                self.lateness
            )
        } else if self.lateness > self.seconds * MAX_PENDING as f64 {
            format!(
                "windows of {} seconds that wait {} for late rows: use at most {MAX_PENDING} times their span",
                self.seconds, self.lateness
            )
        } else if !(1..=MAX_HISTORY).contains(&self.sliding) {
            format!(
                "a sliding window of {} windows: use 1 to {MAX_HISTORY}",
                self.sliding
            )
        } else if self.half_life.is_nan() || self.half_life <= 0.0 {
            format!(
                "a half-life of {} seconds: use a positive number, or infinity",
                self.half_life
            )
        } else if self.trailing > MAX_HISTORY {
            format!(
                "a reference of {} trailing windows: use at most {MAX_HISTORY}",
                self.trailing
            )
        } else {
            return Ok(());
        };
        Err(Error::invalid(fault))
    }
}

/// Counts live rows into windows and keeps the last closed ones.
///
/// One owner at a time; time is whatever clock the caller passes as `now`, in seconds. A clock
/// that steps back or is not finite counts as standing still, but rows of a window that waits for
/// late ones are counted there.
#[derive(Clone, Debug)]
pub struct Monitor {
    baseline: Arc<Baseline>,
    windows: Windows,
    history: usize,
    open: Window,
    /// Over, but waiting for late rows; oldest first.
    pending: VecDeque<Window>,
    /// Shared with the copies that reports are made from.
    closed: VecDeque<Arc<Window>>,
    segments: Option<Arc<Segments>>,
    decayed: Option<Decayed>,
    alarms: Alarms,
    now: f64,
    rows: u64,
    late: u64,
}

impl Monitor {
    /// A monitor whose first window begins at `now`.
    pub fn new(baseline: Arc<Baseline>, windows: Windows, now: f64) -> Result<Self> {
        windows.check()?;
        let now = if now.is_finite() { now } else { 0.0 };
        Ok(Self {
            open: Window::new(&baseline, now),
            alarms: Alarms::new(&baseline, AlarmOptions::default())?,
            decayed: windows
                .half_life
                .is_finite()
                .then(|| Decayed::new(&baseline, windows.half_life)),
            history: HISTORY.max(windows.sliding).max(windows.trailing),
            baseline,
            windows,
            pending: VecDeque::new(),
            closed: VecDeque::new(),
            segments: None,
            now,
            rows: 0,
            late: 0,
        })
    }

    /// Keeps another number of closed windows: 1 to [`MAX_HISTORY`], and as many as the sliding
    /// window and the trailing reference hold.
    pub fn with_history(mut self, windows: usize) -> Result<Self> {
        let least = self.windows.sliding.max(self.windows.trailing).max(1);
        if !(least..=MAX_HISTORY).contains(&windows) {
            return Err(Error::invalid(format!(
                "a history of {windows} windows: use {least} to {MAX_HISTORY} (the default is {HISTORY})"
            )));
        }
        self.history = windows;
        Ok(self)
    }

    /// Other alarms than the default ones.
    ///
    /// # Errors
    /// `InvalidInput` when the options are impossible.
    pub fn with_alarms(mut self, options: AlarmOptions) -> Result<Self> {
        self.alarms = Alarms::new(&self.baseline, options)?;
        Ok(self)
    }

    /// Tells rows apart by the values of a feature, from here on.
    ///
    /// # Errors
    /// As [`Segments::new`].
    pub fn with_segments(mut self, column: &str) -> Result<Self> {
        let segments = Segments::new(&self.baseline, column)?;
        self.open = Window::segmented(&self.baseline, self.open.start, Some(&segments));
        self.segments = Some(Arc::new(segments));
        Ok(self)
    }

    /// The segments that are told apart.
    #[must_use]
    pub fn segments(&self) -> Option<&Segments> {
        self.segments.as_deref()
    }

    /// Counts the rows of a table: the input columns, then the output columns. A table that fills
    /// the open window is split: the window closes with exactly its number of rows and the rest
    /// goes on in the next. Nothing is counted when the columns do not fit.
    pub fn observe(&mut self, table: &Table<'_>, now: f64) -> Result<()> {
        self.baseline.check(table)?;
        self.advance(now);
        if now < self.open.start {
            // Of a window that is over: there, if it waits still.
            let due = |window: &&mut Window| window.start <= now && now < window.end;
            if let Some(window) = self.pending.iter_mut().find(due) {
                window.count(&self.baseline, table, self.segments.as_deref());
                self.rows += table.rows() as u64;
                return Ok(());
            }
            self.late += table.rows() as u64;
        }
        let mut done = 0;
        while done < table.rows() {
            let left = table.rows() - done;
            let room = self.windows.rows - self.open.rows;
            let take = usize::try_from(room).map_or(left, |room| left.min(room));
            let segments = self.segments.as_deref();
            if take == table.rows() {
                self.open.count(&self.baseline, table, segments);
            } else {
                let part = table.slice(done, take);
                self.open.count(&self.baseline, &part, segments);
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

    /// Closes the open window if its time is over. Windows stand on a grid from the last cut on, or
    /// on multiples of their span; spans without a row leave no window.
    pub fn advance(&mut self, now: f64) {
        if now.is_finite() && now > self.now {
            self.now = now;
        }
        let (start, span) = (self.open.start, self.windows.seconds);
        let end = if self.windows.aligned {
            ((start / span).floor() + 1.0) * span
        } else {
            start + span
        };
        if self.now >= end {
            let next = (end + ((self.now - end) / span).floor() * span).min(self.now);
            self.cut(end, next, None);
        }
        while let Some(window) = self.pending.front()
            && window.end + self.windows.lateness <= self.now
        {
            self.settle_first();
        }
    }

    /// Closes the open window now and gives it a label (a month, a release) of at most
    /// [`LABEL_LIMIT`] bytes. A window without rows is not closed: the answer is then false.
    /// Windows that wait for late rows wait no longer.
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
        while !self.pending.is_empty() {
            self.settle_first();
        }
        Ok(any)
    }

    /// Ends the open window, if it has rows, and begins the next.
    fn cut(&mut self, end: f64, next: f64, label: Option<String>) {
        if self.open.rows == 0 {
            self.open.start = next;
            self.open.end = next;
            return;
        }
        let fresh = Window::segmented(&self.baseline, next, self.segments.as_deref());
        let mut over = std::mem::replace(&mut self.open, fresh);
        over.end = end;
        over.label = label;
        self.pending.push_back(over);
        if self.windows.lateness <= 0.0 || self.pending.len() > MAX_PENDING {
            self.settle_first();
        }
    }

    /// The oldest window that waits is closed for good: it is looked at, and becomes history.
    fn settle_first(&mut self) {
        let Some(window) = self.pending.pop_front() else {
            return;
        };
        if self.windows.trailing == 0 {
            self.alarms.look(&window, None);
        } else if let Some(before) = self.merged(self.closed.len(), self.windows.trailing) {
            self.alarms.look(&window, Some(&before));
        }
        if let Some(decayed) = &mut self.decayed {
            decayed.take(&window);
        }
        if self.closed.len() >= self.history {
            self.closed.pop_front();
        }
        self.closed.push_back(Arc::new(window));
    }

    /// Takes in a window that was counted elsewhere: closed, or as the open one.
    pub(crate) fn take(&mut self, window: Window, closed: bool) {
        self.rows += window.rows;
        self.now = self.now.max(window.end);
        if closed {
            self.pending.push_back(window);
            self.settle_first();
            self.open.start = self.now;
            self.open.end = self.now;
        } else {
            self.open = window;
        }
    }

    /// Counts rows that came too late elsewhere.
    pub(crate) const fn add_late(&mut self, rows: u64) {
        self.late += rows;
    }

    /// Every window that is kept and whether it is closed, oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&Window, bool)> {
        let open = (self.open.rows > 0).then_some(&self.open);
        let unsettled = self.pending.iter().chain(open);
        let closed = self.closed.iter().map(|window| (&**window, true));
        closed.chain(unsettled.map(|window| (window, false)))
    }

    /// The windows as text for other replicas; see [`crate::Snapshot`].
    pub fn snapshot(&mut self, now: f64) -> String {
        self.advance(now);
        Snapshot::of(self).to_json(&self.baseline)
    }

    /// The last `count` of the first `end` closed windows as one; `None` if there are fewer.
    fn merged(&self, end: usize, count: usize) -> Option<Window> {
        let first = end.checked_sub(count)?;
        let mut windows = self.closed.range(first..end);
        let mut merged = Window::clone(windows.next()?);
        merged.label = None;
        // All are over one baseline.
        windows
            .all(|window| merged.merge(window).is_ok())
            .then_some(merged)
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
        self.closed.iter().map(|window| &**window)
    }

    /// The window that grows.
    #[must_use]
    pub const fn open(&self) -> &Window {
        &self.open
    }

    /// Rows that came too late for their window and were counted into the open one.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// The alarms as of the last closed window.
    #[must_use]
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Compares every kept window with its reference, oldest first; the last are those that wait for
    /// late rows, and the open one, if it has rows. With many columns it takes a while: who shares a
    /// monitor makes the report from a copy.
    pub fn report(&mut self, now: f64) -> Report {
        self.advance(now);
        let references = self.references();
        let sliding = (self.windows.sliding > 1)
            .then(|| self.closed.len().min(self.windows.sliding))
            .and_then(|count| self.merged(self.closed.len(), count));
        let decayed = self.decayed.as_ref().and_then(Decayed::window);
        let mut report = Report::new(&self.baseline, self.kept()).with(
            &self.baseline,
            &Views {
                trailing: self.windows.trailing,
                references: &references,
                sliding: sliding.as_ref(),
                decayed: decayed.as_ref(),
                late: self.late,
                alarms: &self.alarms,
            },
        );
        report.segments = self.segments.as_ref().map(|segments| {
            let place = self.kept().count().checked_sub(1);
            // The last closed one, as gauges have it; the open one while there is no other.
            let shown = self.closed.len().checked_sub(1).or(place);
            let window = shown.and_then(|place| self.kept().nth(place));
            let before = shown.and_then(|place| references.get(place)?.as_ref());
            SegmentsReport::new(
                &self.baseline,
                segments,
                window,
                before,
                self.windows.trailing,
            )
        });
        report
    }

    /// The report of the rows of one segment. It has no alarms: those are about all rows.
    ///
    /// # Errors
    /// `NotFound` for a value that is not told apart, or where none is.
    pub fn report_of(&mut self, segment: &str, now: f64) -> Result<Report> {
        self.advance(now);
        let Some(segments) = self.segments.clone() else {
            return Err(Error::not_found(
                "rows are not told apart by a column: deploy with segment=\"COLUMN\"",
            ));
        };
        let place = segments.find(segment)?;
        let windows: Vec<(Window, bool)> = self
            .kept()
            .filter_map(|(window, closed)| Some((window.of_segment(place)?, closed)))
            .collect();
        let mut report = Report::new(&self.baseline, windows.iter().map(|(w, c)| (w, *c)));
        let references = self.references();
        report.of_segment(
            &self.baseline,
            &segments,
            place,
            self.windows.trailing,
            &references,
        );
        Ok(report)
    }

    /// What each kept window is compared with where that are windows before it; else none.
    fn references(&self) -> Vec<Option<Window>> {
        let trailing = self.windows.trailing;
        if trailing == 0 {
            return Vec::new();
        }
        let ends = (0..self.closed.len()).chain(std::iter::repeat(self.closed.len()));
        ends.take(self.kept().count())
            .map(|end| self.merged(end, trailing))
            .collect()
    }

    /// The last closed window compared with its reference: what gauges show. The open window would
    /// make them jump at every cut.
    pub fn latest(&mut self, now: f64) -> Option<WindowReport> {
        self.advance(now);
        let window = self.closed.back()?;
        let mut latest = WindowReport::new(&self.baseline, window, true);
        if self.windows.trailing > 0 {
            let end = self.closed.len() - 1;
            let reference = self.merged(end, self.windows.trailing);
            latest.compare_with(&self.baseline, reference.as_ref());
        }
        Some(latest)
    }
}
