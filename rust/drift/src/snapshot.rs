//! What a replica writes down, so that the reports of several are one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::segments::{self, WrittenColumn, WrittenPart};
use crate::{AlarmOptions, Baseline, Monitor, Segments, Window, Windows};

/// The version written into snapshots.
const VERSION: u32 = 2;
/// The version of those without segments, which earlier releases read as well.
const PLAIN_VERSION: u32 = 1;
/// Most bytes of a snapshot that is read: a thousand windows of some hundred columns.
pub const SNAPSHOT_LIMIT: usize = 256 << 20;

/// The windows of one replica at one time: a later one of the same replica replaces it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    windows: Vec<(Window, bool)>,
    /// The column whose values are told apart.
    segment: Option<String>,
    late: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    baseline: String,
    late: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    version: u32,
    windows: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    closed: bool,
    columns: Vec<WrittenColumn>,
    end: f64,
    label: Option<String>,
    rows: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    segments: Vec<WrittenPart>,
    start: f64,
}

/// FNV-1a over a text: tells baselines apart, and is no protection against anybody.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

impl Snapshot {
    /// The windows that a monitor keeps, those that are open among them.
    #[must_use]
    pub fn of(monitor: &Monitor) -> Self {
        Self {
            windows: monitor
                .kept()
                .map(|(window, closed)| (window.clone(), closed))
                .collect(),
            segment: monitor.segments().map(|found| found.column().to_owned()),
            late: monitor.late(),
        }
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self, baseline: &Baseline) -> String {
        let written = |(window, closed): &(Window, bool)| Written {
            closed: *closed,
            columns: segments::write(&window.columns),
            end: window.end,
            label: window.label.clone(),
            rows: window.rows,
            segments: window.segments.iter().map(WrittenPart::of).collect(),
            start: window.start,
        };
        let document = Document {
            baseline: digest(&baseline.to_json()),
            late: self.late,
            segment: self.segment.clone(),
            version: if self.segment.is_some() {
                VERSION
            } else {
                PLAIN_VERSION
            },
            windows: self.windows.iter().map(written).collect(),
        };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads what [`Snapshot::to_json`] wrote.
    ///
    /// # Errors
    /// `State` when the text is damaged, of a later version, or over another baseline.
    pub fn from_json(baseline: &Baseline, text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |error| Error::state(format!("not a snapshot: {error}"));
        if text.len() > SNAPSHOT_LIMIT {
            return Err(Error::state(format!(
                "a snapshot of {} bytes where at most {SNAPSHOT_LIMIT} are read: it was not written here",
                text.len()
            )));
        }
        let Version { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::state(format!(
                "snapshot version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let document: Document = serde_json::from_str(text).map_err(unreadable)?;
        if document.baseline != digest(&baseline.to_json()) {
            return Err(Error::state(
                "the snapshot is over another baseline: its replica serves another build of this version",
            ));
        }
        let segments = document.segment.as_deref();
        let segments = segments
            .map(|column| Segments::new(baseline, column))
            .transpose()?;
        let due = segments.map_or(0, |found| found.names().len());
        let windows = document
            .windows
            .into_iter()
            .map(|written| {
                let closed = written.closed;
                Ok((written.read(baseline, due)?, closed))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            windows,
            segment: document.segment,
            late: document.late,
        })
    }

    /// The windows of several replicas as those of one monitor: windows that began in the same span
    /// of [`Windows::seconds`] are one. Counts are exact; alarms are as of the windows that are kept.
    /// Segments are told apart where all replicas do so by one column.
    ///
    /// # Errors
    /// `InvalidInput` when the options are impossible.
    pub fn merge(
        baseline: Arc<Baseline>,
        windows: Windows,
        alarms: AlarmOptions,
        snapshots: &[Self],
    ) -> Result<Monitor> {
        let mut spans: BTreeMap<i64, (Window, bool)> = BTreeMap::new();
        for (window, closed) in snapshots.iter().flat_map(|snapshot| &snapshot.windows) {
            let span = (window.start / windows.seconds).floor() as i64;
            match spans.get_mut(&span) {
                None => {
                    spans.insert(span, (window.clone(), *closed));
                }
                Some((sum, all_closed)) => {
                    sum.merge(window)?;
                    // One label for all, or none.
                    if sum.label != window.label {
                        sum.label = None;
                    }
                    *all_closed &= closed;
                }
            }
        }
        let begin = spans
            .values()
            .next()
            .map_or(0.0, |(window, _)| window.start);
        let history = spans
            .len()
            .clamp(1, crate::MAX_HISTORY)
            .max(windows.sliding);
        let mut monitor = Monitor::new(baseline, windows, begin)?
            .with_history(history.max(windows.trailing))?
            .with_alarms(alarms)?;
        let mut columns = snapshots.iter().map(|snapshot| snapshot.segment.as_deref());
        if let Some(column) = columns.next().flatten()
            && columns.all(|other| other == Some(column))
        {
            monitor = monitor.with_segments(column)?;
        }
        let last = spans.len().saturating_sub(1);
        for (place, (mut window, closed)) in spans.into_values().enumerate() {
            if monitor.segments().is_none() {
                window.segments.clear();
            }
            // What a replica left open when it ended is over once there is a later window.
            monitor.take(window, closed || place < last);
        }
        monitor.add_late(snapshots.iter().map(|snapshot| snapshot.late).sum());
        Ok(monitor)
    }
}

impl Written {
    fn read(self, baseline: &Baseline, segments: usize) -> Result<Window> {
        let damaged = |what: &str| {
            Error::state(format!(
                "the snapshot is damaged: {what}; the replica's next one replaces it"
            ))
        };
        if !(self.start.is_finite() && self.end.is_finite() && self.start <= self.end) {
            return Err(damaged("a window ends before it begins"));
        }
        let columns = segments::read(self.columns, self.rows, baseline).map_err(damaged)?;
        let parts: Vec<_> = self
            .segments
            .into_iter()
            .map(|part| part.read(baseline).map_err(damaged))
            .collect::<Result<_>>()?;
        let mut rows = parts.iter().map(|part| part.rows);
        let total = rows.try_fold(0u64, u64::checked_add);
        if parts.len() != segments || (segments > 0 && total != Some(self.rows)) {
            return Err(damaged("its segments do not add up to a window"));
        }
        Ok(Window {
            start: self.start,
            end: self.end,
            rows: self.rows,
            label: self.label,
            columns,
            segments: parts,
        })
    }
}
