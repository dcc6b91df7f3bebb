//! What was counted of one version.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_schema::{Error, Result};

use super::Part;
use super::part::{Written, add};

/// What was counted of one version in one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Of all requests.
    pub whole: Part,
    /// Counts of each input column, in the cells of the baseline.
    pub features: BTreeMap<String, Vec<u64>>,
    /// By the values of a column.
    pub segments: BTreeMap<String, Part>,
}

impl Sample {
    /// Takes in the sample of other requests to the same version, of another replica.
    ///
    /// # Errors
    /// `InvalidInput` when they were counted in different cells or ranges; what was taken in until
    /// then stays.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.whole.merge(&other.whole)?;
        for (name, more) in &other.features {
            match self.features.get_mut(name) {
                Some(own) => add(own, more).map_err(|error| error.at(format_args!("{name:?}")))?,
                None => {
                    self.features.insert(name.clone(), more.clone());
                }
            }
        }
        for (name, more) in &other.segments {
            match self.segments.get_mut(name) {
                Some(own) => own.merge(more)?,
                None => {
                    self.segments.insert(name.clone(), more.clone());
                }
            }
        }
        Ok(())
    }

    pub(super) fn write(&self) -> Written {
        let segments = self.segments.iter();
        let segments = segments.map(|(name, part)| (name.clone(), Written::from(part)));
        let mut written = Written::from(&self.whole);
        written.features = Some(self.features.clone());
        written.segments = Some(segments.collect());
        written
    }

    pub(super) fn read(mut written: Written) -> Result<Self> {
        let features = written.features.take().unwrap_or_default();
        let segments = written.segments.take().unwrap_or_default();
        Ok(Self {
            whole: Part::try_from(written)?,
            features,
            segments: segments
                .into_iter()
                .map(|(name, part)| Ok((name, Part::try_from(part)?)))
                .collect::<Result<_>>()?,
        })
    }

    /// Canonical JSON: sorted keys, no white space.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_value(self.write())
            .as_ref()
            .map(Value::to_string)
            .unwrap_or_default()
    }

    /// Reads what [`Sample::to_json`] wrote.
    ///
    /// # Errors
    /// `State` for what is truncated, edited or of a later version.
    pub fn from_json(text: &str) -> Result<Self> {
        let written = serde_json::from_str(text)
            .map_err(|error| Error::state(format!("not a sample of a version: {error}")))?;
        Self::read(written)
    }
}
