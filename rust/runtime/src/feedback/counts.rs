//! What became of labels and named numbers.

use serde::{Deserialize, Serialize};

/// Problems that an answer names; the rest is counted.
const NAMED: usize = 10;
/// Most bytes of an id that are repeated to whoever sent it.
const QUOTED: usize = 60;

/// What became of one label, or of one named number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Outcome {
    /// It met its prediction.
    Joined,
    /// The prediction has this label already.
    Duplicate,
    /// The prediction has another label, which stays.
    Conflicting,
    /// No such prediction is here: it has left, another replica made it, or nobody did.
    Unknown,
    /// The prediction is of another model.
    OtherModel,
    /// Null, NaN, or a number that is not finite.
    Missing,
    /// Of another type than the model's, or none of its classes.
    Mismatched,
    /// The id is none.
    Malformed,
    /// One name too many, or a name that is empty or too long.
    Unnamed,
}

/// Every outcome, in order.
pub const OUTCOMES: [Outcome; 9] = [
    Outcome::Joined,
    Outcome::Duplicate,
    Outcome::Conflicting,
    Outcome::Unknown,
    Outcome::OtherModel,
    Outcome::Missing,
    Outcome::Mismatched,
    Outcome::Malformed,
    Outcome::Unnamed,
];

impl Outcome {
    /// What it is called in answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Duplicate => "duplicate",
            Self::Conflicting => "conflicting",
            Self::Unknown => "unknown",
            Self::OtherModel => "other_model",
            Self::Missing => "missing",
            Self::Mismatched => "mismatched",
            Self::Malformed => "malformed",
            Self::Unnamed => "unnamed",
        }
    }

    /// What is wrong, for whoever sent it.
    const fn message(self) -> &'static str {
        match self {
            Self::Joined => "",
            Self::Duplicate => "it was sent before",
            Self::Conflicting => "the prediction has another label, and the first one stays",
            Self::Unknown => {
                "no such prediction awaits a label here: it may have left the store, or another replica made it"
            }
            Self::OtherModel => "the prediction is another model's: send it there",
            Self::Missing => "the value is missing or not finite: send it once it is known",
            Self::Mismatched => {
                "the label is none of the model's classes, or of another type: send labels as the model was trained with them"
            }
            Self::Malformed => "this is no id: send prediction_id/row as the answer had it",
            Self::Unnamed => "a name of 1 to 64 bytes is due, and a model may have 16 names",
        }
    }
}

/// How often each outcome was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; OUTCOMES.len()]);

impl Counts {
    /// One more.
    pub fn add(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// All that others have seen.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own += more;
        }
    }

    /// How often it was.
    #[must_use]
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or(0)
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(OUTCOMES.map(|outcome| (outcome.name(), self.get(outcome))))
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = std::collections::BTreeMap::<String, u64>::deserialize(from)?;
        let mut counts = Self::default();
        for (own, outcome) in counts.0.iter_mut().zip(OUTCOMES) {
            *own = found.get(outcome.name()).copied().unwrap_or(0);
        }
        Ok(counts)
    }
}

/// An entry of feedback that was not taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// Which entry, from 0.
    pub entry: usize,
    /// The id that was sent.
    pub prediction_id: String,
    /// The outcome.
    pub problem: &'static str,
    /// One sentence.
    pub message: &'static str,
}

/// What became of the entries of one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Received {
    /// Of labels.
    pub labels: Counts,
    /// Of named numbers.
    pub metrics: Counts,
    /// The first few entries that were not taken.
    pub problems: Vec<Problem>,
}

impl Received {
    /// What became of further entries of the same call.
    pub fn merge(&mut self, more: Self) {
        self.labels.merge(&more.labels);
        self.metrics.merge(&more.metrics);
        self.problems.extend(more.problems);
        self.problems.truncate(NAMED);
    }

    pub(crate) fn note(&mut self, entry: usize, id: &str, outcome: Outcome) {
        if outcome == Outcome::Joined || self.problems.len() >= NAMED {
            return;
        }
        self.problems.push(Problem {
            entry,
            prediction_id: id.chars().take(QUOTED).collect(),
            problem: outcome.name(),
            message: outcome.message(),
        });
    }
}
