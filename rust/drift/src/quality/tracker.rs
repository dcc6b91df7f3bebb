//! The quality of one version of a model: in total, by window and by segment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Moments;

use super::{Evidence, Figures, Task};
use crate::OTHER_SEGMENT;

/// The version written into serialised state.
const VERSION: u32 = 1;

/// Windows that are kept; labels of older predictions count in the total and the segments only.
pub const WINDOWS: usize = 48;
/// Most segments that are told apart; the rest is one segment.
pub const MAX_SEGMENTS: usize = 50;
/// Most bytes of a segment's name; longer values count as other.
pub const SEGMENT_NAME_LIMIT: usize = 100;
/// Most named numbers that a version is given through feedback.
pub const MAX_METRICS: usize = 16;
/// Most bytes of such a name.
pub const METRIC_NAME_LIMIT: usize = 64;

/// What is known of some predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub predictions: u64,
    /// By labels.
    pub labelled: Figures,
    /// For their intervals.
    pub evidence: Evidence,
    /// By what the probabilities promise.
    pub expected: Figures,
    /// Named numbers, in the order of the tracker's names.
    pub metrics: Vec<Moments>,
}

impl Part {
    fn new(task: &Task) -> Self {
        Self {
            predictions: 0,
            labelled: Figures::new(task),
            evidence: Evidence::new(task),
            expected: Figures::new(task),
            metrics: Vec::new(),
        }
    }

    fn measured(&mut self, metric: usize, value: f64) {
        if self.metrics.len() <= metric {
            self.metrics.resize_with(metric + 1, Moments::new);
        }
        if let Some(moments) = self.metrics.get_mut(metric) {
            moments.update(value);
        }
    }

    fn merge(&mut self, other: &Self, places: &[usize]) {
        self.predictions += other.predictions;
        self.labelled.merge(&other.labelled);
        self.evidence.merge(&other.evidence);
        self.expected.merge(&other.expected);
        let pairs = other.metrics.iter().zip(places);
        for (more, place) in pairs.filter(|(_, place)| **place < MAX_METRICS) {
            if self.metrics.len() <= *place {
                self.metrics.resize_with(place + 1, Moments::new);
            }
            if let Some(own) = self.metrics.get_mut(*place) {
                own.merge(more);
            }
        }
    }

    fn fits(&self, task: &Task) -> bool {
        self.labelled.fits(task) && self.expected.fits(task) && self.metrics.len() <= MAX_METRICS
    }
}

/// The quality of one version of a model.
///
/// Predictions are taken in when they are made, labels whenever they come; both count in the
/// window in which the *prediction* was made. Windows stand on a grid from 1970 on, so that
/// replicas have the same ones and their states merge. The order of labels plays no role.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    task: Arc<Task>,
    seconds: f64,
    total: Part,
    windows: BTreeMap<i64, Part>,
    /// The last may be the one of all further values.
    segments: Vec<(String, Part)>,
    metrics: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    metrics: Vec<String>,
    seconds: f64,
    segments: Vec<(String, Part)>,
    task: Task,
    total: Part,
    version: u32,
    windows: BTreeMap<i64, Part>,
}

impl Quality {
    /// The quality of nothing, with windows of so many seconds.
    ///
    /// # Errors
    /// `InvalidInput` for a span that is not above 0, or that never ends.
    pub fn new(task: Task, seconds: f64) -> Result<Self> {
        if !(seconds > 0.0 && seconds.is_finite()) {
            return Err(Error::invalid(format!(
                "windows of {seconds} seconds for quality: use a number above 0"
            )));
        }
        Ok(Self {
            total: Part::new(&task),
            task: Arc::new(task),
            seconds,
            windows: BTreeMap::new(),
            segments: Vec::new(),
            metrics: Vec::new(),
        })
    }

    /// What the model predicts.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The place of a segment, made if there is room; the second is true for one that is new.
    pub fn segment(&mut self, name: &str) -> (usize, bool) {
        let known = |name: &str| self.segments.iter().position(|(known, _)| known == name);
        if let Some(place) = known(name) {
            return (place, false);
        }
        let full = self.segments.len() >= MAX_SEGMENTS || name.len() > SEGMENT_NAME_LIMIT;
        let name = if full { OTHER_SEGMENT } else { name };
        if full && let Some(place) = known(name) {
            return (place, false);
        }
        let part = Part::new(&self.task);
        self.segments.push((name.to_owned(), part));
        (self.segments.len() - 1, true)
    }

    /// The name of a segment.
    #[must_use]
    pub fn segment_name(&self, place: usize) -> Option<&str> {
        self.segments.get(place).map(|(name, _)| name.as_str())
    }

    /// The place of a named number, made if there is room; the second is true for one that is new.
    /// `None` for a name that is empty, too long or one too many.
    pub fn metric(&mut self, name: &str) -> Option<(usize, bool)> {
        if let Some(place) = self.metrics.iter().position(|known| known == name) {
            return Some((place, false));
        }
        let fits = !name.is_empty() && name.len() <= METRIC_NAME_LIMIT;
        (fits && self.metrics.len() < MAX_METRICS).then(|| {
            self.metrics.push(name.to_owned());
            (self.metrics.len() - 1, true)
        })
    }

    /// Takes in a prediction, in a segment if the model has some.
    pub fn predicted(&mut self, row: &[f64], segment: Option<usize>, time: f64) {
        let calibration = self.total.labelled.calibration().cloned();
        self.each(segment, time, |part| {
            part.predictions += 1;
            part.expected.expect(row, calibration.as_ref());
        });
    }

    /// Takes in the label of a prediction, as [`Task::encode`] gave it.
    pub fn labelled(&mut self, row: &[f64], actual: f64, segment: Option<usize>, time: f64) {
        let task = Arc::clone(&self.task);
        self.each(segment, time, |part| {
            part.labelled.update(row, actual);
            part.evidence.update(&task, row, actual);
        });
    }

    /// Takes in a named number of a prediction. NaN is counted as missing.
    pub fn measured(&mut self, metric: usize, value: f64, segment: Option<usize>, time: f64) {
        if metric < self.metrics.len() {
            self.each(segment, time, |part| part.measured(metric, value));
        }
    }

    fn each(&mut self, segment: Option<usize>, time: f64, mut update: impl FnMut(&mut Part)) {
        update(&mut self.total);
        if let Some((_, part)) = segment.and_then(|place| self.segments.get_mut(place)) {
            update(part);
        }
        let at = (time / self.seconds).floor();
        if !at.is_finite() {
            return;
        }
        let at = at as i64;
        if !self.windows.contains_key(&at) {
            if self.windows.len() >= WINDOWS {
                // What is older than all that are kept comes too late for a window.
                if self
                    .windows
                    .first_key_value()
                    .is_some_and(|(first, _)| *first > at)
                {
                    return;
                }
                self.windows.pop_first();
            }
            self.windows.insert(at, Part::new(&self.task));
        }
        if let Some(part) = self.windows.get_mut(&at) {
            update(part);
        }
    }

    /// Takes in what a tracker of the same model has seen elsewhere.
    ///
    /// # Errors
    /// `InvalidInput` when task or windows differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.task != other.task || self.seconds != other.seconds {
            return Err(Error::invalid(
                "the quality of another task or of other windows cannot be merged: merge replicas of one deployment",
            ));
        }
        // A name that finds no room is dropped with its numbers.
        let places: Vec<usize> = other
            .metrics
            .iter()
            .map(|name| self.metric(name).map_or(MAX_METRICS, |(place, _)| place))
            .collect();
        self.total.merge(&other.total, &places);
        for (at, part) in &other.windows {
            let fresh = || Part::new(&self.task);
            self.windows
                .entry(*at)
                .or_insert_with(fresh)
                .merge(part, &places);
        }
        while self.windows.len() > WINDOWS {
            self.windows.pop_first();
        }
        for (name, part) in &other.segments {
            let (place, _) = self.segment(name);
            if let Some((_, own)) = self.segments.get_mut(place) {
                own.merge(part, &places);
            }
        }
        Ok(())
    }

    pub(crate) const fn total(&self) -> &Part {
        &self.total
    }

    /// Begin and part of each window, oldest first.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (f64, f64, &Part)> {
        let seconds = self.seconds;
        self.windows
            .iter()
            .map(move |(at, part)| (*at as f64 * seconds, (*at + 1) as f64 * seconds, part))
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.segments
            .iter()
            .map(|(name, part)| (name.as_str(), part))
    }

    pub(crate) fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// Canonical JSON: sorted keys, no white space.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            metrics: self.metrics.clone(),
            seconds: self.seconds,
            segments: self.segments.clone(),
            task: Task::clone(&self.task),
            total: self.total.clone(),
            version: VERSION,
            windows: self.windows.clone(),
        };
        serde_json::to_value(&document)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }

    /// Reads what [`Quality::to_json`] wrote, of this or any earlier version.
    ///
    /// # Errors
    /// `State` for what is truncated, edited or of a later version.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Tag {
            version: u32,
        }
        let unreadable = |error| Error::state(format!("not a state of quality: {error}"));
        let Tag { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::state(format!(
                "a state of quality of version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let found: Document = serde_json::from_str(text).map_err(unreadable)?;
        let parts = found.windows.values();
        let mut parts = parts.chain(found.segments.iter().map(|(_, part)| part));
        let fits = found.total.fits(&found.task)
            && parts.all(|part| part.fits(&found.task))
            && found.windows.len() <= WINDOWS
            && found.segments.len() <= MAX_SEGMENTS + 1
            && found.metrics.len() <= MAX_METRICS;
        if !fits {
            return Err(Error::state(
                "a state of quality contradicts itself: it was edited, so begin anew without it",
            ));
        }
        let mut quality = Self::new(found.task, found.seconds)?;
        quality.total = found.total;
        quality.windows = found.windows;
        quality.segments = found.segments;
        quality.metrics = found.metrics;
        Ok(quality)
    }
}
