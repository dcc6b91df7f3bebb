//! The book as a journal tells it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidegate_drift::quality::Quality;
use tidegate_predictionlog::{Journal, Record};
use tidegate_schema::Result;

use super::Outcome;
use super::book::{About, Name, Pages, Slot, Tally, slot_record, split};

/// All that is known at one time beside the predictions themselves.
#[derive(Serialize, Deserialize)]
struct State {
    /// The state of quality of each version, as it writes it.
    slots: BTreeMap<u32, String>,
    tallies: BTreeMap<String, Tally>,
}

impl Pages {
    /// Reads a journal from its beginning, and goes on writing it.
    pub fn restore(&mut self, folder: &Path) -> Result<()> {
        let mut last_file = None;
        let (journal, recovered) = Journal::open(folder, |file, record| {
            if last_file.is_some_and(|last| last != file) {
                self.close_file(last_file);
            }
            last_file = Some(file);
            self.replay(record);
        })?;
        self.close_file(last_file);
        self.journal = Some(journal);
        self.recovered = recovered;
        Ok(())
    }

    fn close_file(&mut self, file: Option<u64>) {
        if let Some(file) = file {
            self.files.push_back((file, self.awaiting.next()));
        }
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Slot { slot, text } => {
                let about = serde_json::from_str::<About>(&text).ok();
                let fresh = about.and_then(|about| {
                    let quality = Quality::new(about.task.clone(), self.window_seconds).ok()?;
                    Some(Slot { about, quality })
                });
                if let Some(fresh) = fresh {
                    self.slots.entry(slot).or_insert(fresh);
                }
            }
            Record::Note { slot, text } => {
                let Some(slot) = self.slots.get_mut(&slot) else {
                    return;
                };
                match serde_json::from_str(&text) {
                    Ok(Name::Segment(name)) => {
                        slot.quality.segment(&name);
                    }
                    Ok(Name::Metric(name)) => {
                        slot.quality.metric(&name);
                    }
                    Err(_) => {}
                }
            }
            Record::Chunk(chunk) => {
                if let Some(slot) = self.slots.get_mut(&chunk.slot) {
                    let mut rows = chunk.values.chunks(chunk.width.max(1) as usize);
                    for mark in &chunk.marks {
                        for values in rows.by_ref().take(mark.rows as usize) {
                            let kept = split(values, &slot.about.task);
                            slot.quality
                                .predicted(kept.numbers, kept.segment, mark.time);
                        }
                    }
                }
                self.awaiting.push(chunk);
            }
            Record::Label { id, row, label } => {
                let Some(place) = self.awaiting.find(id, Some(row)) else {
                    return;
                };
                if let Some(held) = self.awaiting.get(place).filter(|held| held.label.is_none())
                    && let Some(slot) = self.slots.get_mut(&held.slot)
                {
                    let kept = split(held.values, &slot.about.task);
                    slot.quality
                        .labelled(kept.numbers, label, kept.segment, held.time);
                    let tally = self.tallies.entry(slot.about.model.clone()).or_default();
                    tally.labels.add(Outcome::Joined);
                    self.awaiting.label(place, label);
                }
            }
            Record::Metric {
                id,
                row,
                metric,
                value,
            } => {
                let Some(place) = self.awaiting.find(id, Some(row)) else {
                    return;
                };
                if let Some(held) = self.awaiting.get(place)
                    && let Some(slot) = self.slots.get_mut(&held.slot)
                {
                    let kept = split(held.values, &slot.about.task);
                    slot.quality
                        .measured(metric as usize, value, kept.segment, held.time);
                    let tally = self.tallies.entry(slot.about.model.clone()).or_default();
                    tally.metrics.add(Outcome::Joined);
                    self.awaiting.name(place, metric);
                }
            }
            Record::State { text } => {
                let Ok(state) = serde_json::from_str::<State>(&text) else {
                    return;
                };
                for (number, text) in &state.slots {
                    let slot = self.slots.get_mut(number);
                    if let (Some(slot), Ok(quality)) = (slot, Quality::from_json(text)) {
                        slot.quality = quality;
                    }
                }
                self.tallies = state.tallies;
            }
        }
    }

    /// Begins a file that can be read without those before it, and removes those of which no
    /// prediction is left.
    pub fn rotate(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let slots = self.slots.iter();
        let mut records: Vec<Record> = slots
            .map(|(number, slot)| slot_record(*number, &slot.about))
            .collect();
        let state = State {
            slots: self
                .slots
                .iter()
                .map(|(number, slot)| (*number, slot.quality.to_json()))
                .collect(),
            tallies: self.tallies.clone(),
        };
        records.push(Record::State {
            text: serde_json::to_string(&state).unwrap_or_default(),
        });
        let before = journal.number();
        if self.files.back().is_none_or(|(file, _)| *file < before) {
            self.files.push_back((before, self.awaiting.next()));
        }
        journal.rotate(&records);
        while self
            .files
            .front()
            .is_some_and(|(_, next)| *next <= self.awaiting.oldest())
        {
            self.files.pop_front();
        }
        let needed = self
            .files
            .front()
            .map_or(journal.number(), |(file, _)| *file);
        journal.forget_before(needed);
    }
}
