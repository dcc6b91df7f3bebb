//! The book of predictions and labels that all models of a runtime share.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use tidegate_drift::quality::{self, FiguresReport, Quality, Rejection, Task};
use tidegate_predictionlog::log::{Feedback as Line, Log};
use tidegate_predictionlog::{Awaiting, Chunk, Journal, Mark, PredictionId, Record, Recovered};
use tidegate_protocol::feedback::{Entry, Label};
use tidegate_schema::{Error, Result};

use super::report::VERSION;
use super::{
    AwaitingReport, Counts, JournalReport, ModelQuality, Outcome, Received, VersionQuality,
};
use crate::comparison::{Comparison, Joined};

/// Most versions of all models that are followed at one time; beyond, the one that was loaded
/// first is forgotten.
const MAX_SLOTS: usize = 64;
/// Entries of feedback that are taken in before others get their turn.
const TURN: usize = 1_024;
/// Flushes that pass before a journal that cannot be written is tried again.
const PATIENCE: u32 = 256;
/// Least bytes of a file of the journal before the next begins.
const LEAST_FILE: u64 = 1 << 20;

/// How predictions are kept.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Most bytes of predictions that await labels; 0 keeps none.
    pub bytes: usize,
    /// Where they survive the process; nowhere by default.
    pub folder: Option<PathBuf>,
    /// Windows of quality.
    pub window_seconds: f64,
    /// Where feedback is written down, to be joined with predictions that have left.
    pub log: Option<Arc<Log>>,
}

/// The book of predictions and labels.
pub(crate) struct Book {
    settings: Settings,
    pages: Mutex<Pages>,
}

/// One version of a model.
#[derive(Clone)]
pub(super) struct Slot {
    pub about: About,
    pub quality: Quality,
}

/// Which version it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    pub model: String,
    pub version: String,
    pub digest: String,
    pub task: Task,
}

/// What feedback has said of one model, whatever the version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub labels: Counts,
    pub metrics: Counts,
}

/// A name of a version that later records stand on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Segment(String),
    Metric(String),
}

/// What is behind the lock.
pub(super) struct Pages {
    pub awaiting: Awaiting,
    /// By the number of a version; numbers are never used again.
    pub slots: BTreeMap<u32, Slot>,
    pub tallies: BTreeMap<String, Tally>,
    /// By the number of the plan that predictions were answered by.
    compared: BTreeMap<u64, Weak<Comparison>>,
    pub journal: Option<Journal>,
    pub recovered: Recovered,
    /// Files of the journal before the current one, each with the number that follows its chunks.
    pub files: VecDeque<(u64, u64)>,
    pub window_seconds: f64,
    file_bytes: u64,
    next_slot: u32,
    /// Flushes since the journal could last be written.
    failing: u32,
}

impl Book {
    /// An empty book, or the one that a folder holds.
    ///
    /// # Errors
    /// As [`Journal::open`]; `InvalidInput` for windows of no time.
    pub fn open(settings: Settings) -> Result<Self> {
        // Refused here and not when the first model is loaded.
        Quality::new(Task::Regression { span: None }, settings.window_seconds)?;
        let mut pages = Pages {
            awaiting: Awaiting::new(settings.bytes),
            slots: BTreeMap::new(),
            tallies: BTreeMap::new(),
            compared: BTreeMap::new(),
            journal: None,
            recovered: Recovered::default(),
            files: VecDeque::new(),
            window_seconds: settings.window_seconds,
            file_bytes: (settings.bytes as u64 / 4).max(LEAST_FILE),
            next_slot: 0,
            failing: 0,
        };
        if let Some(folder) = settings.folder.as_ref().filter(|_| settings.bytes > 0) {
            pages.restore(folder)?;
            pages.next_slot = pages.slots.keys().max().map_or(0, |last| last + 1);
            pages.rotate();
        }
        Ok(Self {
            settings,
            pages: Mutex::new(pages),
        })
    }

    /// Are predictions kept?
    pub fn is_on(&self) -> bool {
        self.settings.bytes > 0
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A book counts: whoever panicked half-way has counted half a table, not broken it.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a version, which goes on where it was when the process ended.
    pub fn register(&self, model: &str, version: &str, digest: &str, task: &Task) -> Result<u32> {
        let about = About {
            model: model.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            task: task.clone(),
        };
        let mut pages = self.pages();
        if let Some((number, _)) = pages.slots.iter().find(|(_, slot)| slot.about == about) {
            return Ok(*number);
        }
        let quality = Quality::new(task.clone(), self.settings.window_seconds)?;
        let number = pages.next_slot;
        pages.next_slot += 1;
        pages.write(&slot_record(number, &about));
        pages.slots.insert(number, Slot { about, quality });
        if pages.slots.len() > MAX_SLOTS {
            pages.slots.pop_first();
        }
        pages.flush();
        Ok(number)
    }

    /// Labels and named numbers of predictions that are answered by this plan count there too, while
    /// it is kept.
    pub fn compare(&self, comparison: &Arc<Comparison>) {
        let mut pages = self.pages();
        pages.compared.retain(|_, known| known.strong_count() > 0);
        let known = Arc::downgrade(comparison);
        pages.compared.insert(comparison.origin(), known);
    }

    /// Keeps predictions: the numbers of each row, and its segment where the model has some.
    pub fn predicted(
        &self,
        number: u32,
        marks: Vec<Mark>,
        values: &[f64],
        segments: Option<Vec<String>>,
        joined: Option<Joined>,
    ) {
        let mut pages = self.pages();
        let pages = &mut *pages;
        let Some(slot) = pages.slots.get_mut(&number) else {
            return;
        };
        let width = slot.about.task.width();
        let keys = joined.as_ref().and_then(|joined| joined.keys.as_deref());
        let kept_width = width + 1 + usize::from(keys.is_some());
        let mut kept = Vec::with_capacity(values.len() / width * kept_width);
        let mut names = Vec::new();
        let mut rows = values.chunks(width);
        for mark in &marks {
            for row in rows.by_ref().take(mark.rows as usize) {
                let name = segments
                    .as_ref()
                    .and_then(|all| all.get(kept.len() / kept_width));
                let segment = name.map(|name| {
                    let (place, new) = slot.quality.segment(name);
                    if new {
                        names.extend(slot.quality.segment_name(place).map(str::to_owned));
                    }
                    place
                });
                slot.quality.predicted(row, segment, mark.time);
                kept.push(segment.map_or(f64::NAN, |place| place as f64));
                let key = keys.and_then(|keys| keys.get(kept.len() / kept_width));
                kept.extend_from_slice(row);
                kept.extend(key.map(|key| *key as f64));
            }
        }
        let chunk = Chunk {
            slot: number,
            width: kept_width as u32,
            origin: joined.map_or(0, |joined| joined.origin),
            marks,
            values: kept,
        };
        if !chunk.is_whole() {
            return;
        }
        for name in names {
            pages.write(&name_record(number, &Name::Segment(name)));
        }
        if pages.journal.is_some() {
            let record = Record::Chunk(chunk);
            pages.write(&record);
            if let Record::Chunk(chunk) = record {
                pages.awaiting.push(chunk);
            }
        } else {
            pages.awaiting.push(chunk);
        }
        pages.flush();
    }

    /// Takes in feedback for a model. What it says is in the journal when this returns.
    pub fn feedback(&self, model: &str, entries: &[Entry<'_>], now: f64) -> Received {
        let mut received = Received::default();
        for (turn, some) in entries.chunks(TURN).enumerate() {
            let mut these = Received::default();
            let mut lines = self.settings.log.as_ref().map(|_| Vec::new());
            let mut pages = self.pages();
            for (place, entry) in some.iter().enumerate() {
                pages.entry(model, turn * TURN + place, entry, &mut these, &mut lines);
            }
            let tally = pages.tallies.entry(model.to_owned()).or_default();
            tally.labels.merge(&these.labels);
            tally.metrics.merge(&these.metrics);
            pages.flush();
            drop(pages);
            if let (Some(log), Some(lines)) = (&self.settings.log, lines) {
                log.feedback(model, now, lines);
            }
            received.merge(these);
        }
        received
    }

    /// The quality of all versions of a model.
    pub fn report(&self, model: &str) -> ModelQuality {
        let pages = self.pages();
        let tally = pages.tallies.get(model).copied().unwrap_or_default();
        let slots = pages.slots.values();
        let own: Vec<Slot> = slots
            .filter(|slot| slot.about.model == model)
            .cloned()
            .collect();
        let awaiting = pages.awaiting(self.settings.bytes);
        // Intervals take their time, and predictions and labels must not wait for them.
        drop(pages);
        ModelQuality {
            version: VERSION,
            model: model.to_owned(),
            versions: own
                .iter()
                .map(|slot| VersionQuality {
                    version: slot.about.version.clone(),
                    digest: Some(slot.about.digest.clone()).filter(|digest| !digest.is_empty()),
                    quality: slot.quality.report(),
                })
                .collect(),
            labels: tally.labels,
            metrics: tally.metrics,
            awaiting,
        }
    }

    /// The store of predictions.
    pub fn awaiting(&self) -> AwaitingReport {
        self.pages().awaiting(self.settings.bytes)
    }

    /// Model, version and figures of each version.
    pub fn summaries(&self) -> Vec<(String, String, FiguresReport)> {
        let pages = self.pages();
        let slots = pages.slots.values().map(|slot| {
            let About { model, version, .. } = &slot.about;
            (model.clone(), version.clone(), slot.quality.summary())
        });
        slots.collect()
    }

    /// What became of the labels of each model.
    pub fn labels(&self) -> Vec<(String, Counts)> {
        let pages = self.pages();
        let tallies = pages.tallies.iter();
        tallies
            .map(|(model, tally)| (model.clone(), tally.labels))
            .collect()
    }

    /// Gives the system what is gathered, and the folder back.
    pub fn close(&self) {
        let mut pages = self.pages();
        pages.flush();
        pages.journal = None;
    }
}

pub(super) fn slot_record(slot: u32, about: &About) -> Record {
    Record::Slot {
        slot,
        text: serde_json::to_string(about).unwrap_or_default(),
    }
}

fn name_record(slot: u32, name: &Name) -> Record {
    Record::Note {
        slot,
        text: serde_json::to_string(name).unwrap_or_default(),
    }
}

/// What is kept of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Kept<'a> {
    pub segment: Option<usize>,
    /// As many as the task says.
    pub numbers: &'a [f64],
    /// Of the segment by which versions are compared.
    pub key: Option<u64>,
}

/// A kept row: its segment, its numbers, and a key where versions are compared by segments.
pub(super) fn split<'a>(values: &'a [f64], task: &Task) -> Kept<'a> {
    let Some((segment, row)) = values.split_first() else {
        return Kept::default();
    };
    let (numbers, rest) = row.split_at_checked(task.width()).unwrap_or((row, &[]));
    Kept {
        segment: (*segment >= 0.0).then_some(*segment as usize),
        numbers,
        key: rest.first().map(|key| *key as u64),
    }
}

impl Pages {
    fn write(&mut self, record: &Record) {
        if let Some(journal) = &mut self.journal {
            journal.append(record);
        }
    }

    fn flush(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.flush();
        let failing = !journal.is_writing();
        self.failing = if failing { self.failing + 1 } else { 0 };
        if journal.bytes() > self.file_bytes || self.failing == PATIENCE {
            self.failing = 0;
            self.rotate();
        }
    }

    fn awaiting(&self, limit_bytes: usize) -> AwaitingReport {
        AwaitingReport {
            rows: self.awaiting.rows(),
            bytes: self.awaiting.bytes(),
            limit_bytes,
            evicted: self.awaiting.evicted(),
            journal: self.journal.as_ref().map(|journal| JournalReport {
                writing: journal.is_writing(),
                failures: journal.failures(),
                recovered_records: self.recovered.records,
                damaged_bytes: self.recovered.damaged_bytes,
            }),
        }
    }

    fn entry(
        &mut self,
        model: &str,
        at: usize,
        entry: &Entry<'_>,
        received: &mut Received,
        lines: &mut Option<Vec<Line>>,
    ) {
        let id = PredictionId::parse(&entry.prediction_id);
        let mut line = |label, metric, outcome: Outcome| {
            if let (Some(lines), Some((id, row))) = (lines.as_mut(), id) {
                lines.push(Line {
                    id,
                    row: row.unwrap_or(0),
                    label,
                    metric,
                    outcome: outcome.name(),
                });
            }
        };
        if let Some(label) = &entry.label {
            let outcome = match id {
                None => Outcome::Malformed,
                Some((id, row)) => self.label(model, id, row, label),
            };
            received.labels.add(outcome);
            received.note(at, &entry.prediction_id, outcome);
            line(text(label), None, outcome);
        }
        for (name, value) in &entry.metrics {
            let outcome = match id {
                None => Outcome::Malformed,
                Some((id, row)) => self.metric(model, id, row, name, *value),
            };
            received.metrics.add(outcome);
            received.note(at, &entry.prediction_id, outcome);
            let metric = value.map(|value| (name.clone().into_owned(), value));
            line(None, metric, outcome);
        }
    }

    fn label(
        &mut self,
        model: &str,
        id: PredictionId,
        row: Option<u32>,
        label: &Label<'_>,
    ) -> Outcome {
        let found = self.awaiting.find(id, row);
        let Some((place, held)) = found.and_then(|place| Some((place, self.awaiting.get(place)?)))
        else {
            return Outcome::Unknown;
        };
        let Some(slot) = self.slots.get_mut(&held.slot) else {
            return Outcome::Unknown;
        };
        if slot.about.model != model {
            return Outcome::OtherModel;
        }
        let label = match slot.about.task.encode(borrowed(label)) {
            Ok(label) => label,
            Err(Rejection::Missing) => return Outcome::Missing,
            Err(Rejection::Type | Rejection::UnknownClass) => return Outcome::Mismatched,
        };
        match held.label {
            Some(known) if known == label => return Outcome::Duplicate,
            Some(_) => return Outcome::Conflicting,
            None => {}
        }
        let kept = split(held.values, &slot.about.task);
        slot.quality
            .labelled(kept.numbers, label, kept.segment, held.time);
        if let Some(comparison) = self.compared.get(&held.origin).and_then(Weak::upgrade) {
            comparison.labelled(
                &slot.about.version,
                (id, row),
                kept.numbers,
                label,
                kept.key,
            );
        }
        self.awaiting.label(place, label);
        let row = row.unwrap_or(0);
        self.write(&Record::Label { id, row, label });
        Outcome::Joined
    }

    fn metric(
        &mut self,
        model: &str,
        id: PredictionId,
        row: Option<u32>,
        name: &str,
        value: Option<f64>,
    ) -> Outcome {
        let found = self.awaiting.find(id, row);
        let Some((place, held)) = found.and_then(|place| Some((place, self.awaiting.get(place)?)))
        else {
            return Outcome::Unknown;
        };
        let Some(slot) = self.slots.get_mut(&held.slot) else {
            return Outcome::Unknown;
        };
        if slot.about.model != model {
            return Outcome::OtherModel;
        }
        let Some(value) = value.filter(|value| value.is_finite()) else {
            return Outcome::Missing;
        };
        let Some((metric, new)) = slot.quality.metric(name) else {
            return Outcome::Unnamed;
        };
        if held.named >> metric & 1 == 1 {
            return Outcome::Duplicate;
        }
        let kept = split(held.values, &slot.about.task);
        slot.quality
            .measured(metric, value, kept.segment, held.time);
        if let Some(comparison) = self.compared.get(&held.origin).and_then(Weak::upgrade) {
            comparison.measured(&slot.about.version, name, value, kept.key);
        }
        let number = held.slot;
        self.awaiting.name(place, metric as u32);
        if new {
            self.write(&name_record(number, &Name::Metric(name.to_owned())));
        }
        self.write(&Record::Metric {
            id,
            row: row.unwrap_or(0),
            metric: metric as u32,
            value,
        });
        Outcome::Joined
    }
}

/// A label as it is written down.
fn text(label: &Label<'_>) -> Option<String> {
    match label {
        Label::Missing => None,
        Label::Bool(value) => Some(value.to_string()),
        Label::Int(value) => Some(value.to_string()),
        Label::Float(value) if value.is_nan() => None,
        Label::Float(value) => Some(value.to_string()),
        Label::Text(text) => Some(text.clone().into_owned()),
    }
}

fn borrowed<'a>(label: &'a Label<'_>) -> quality::Label<'a> {
    match label {
        Label::Missing => quality::Label::Missing,
        Label::Bool(value) => quality::Label::Bool(*value),
        Label::Int(value) => quality::Label::Int(*value),
        Label::Float(value) => quality::Label::Float(*value),
        Label::Text(text) => quality::Label::Text(text),
    }
}

/// What a model without anything to hold labels against says.
pub(crate) fn no_quality(model: &str) -> Error {
    Error::not_found(format!(
        "the predictions of model {model:?} are not kept for labels: it is no bundle of a classifier (of at most {} classes) or a regressor, or feedback is off",
        quality::MAX_CLASSES
    ))
}
