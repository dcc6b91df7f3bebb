//! What a replica has counted of one revision, as a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::{Pairs, Sample, pairs, part};

/// The version written into samples.
pub const FORMAT: u32 = 1;

/// What was counted of a version beside its shadow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadowed {
    /// The version of the shadow.
    pub version: String,
    /// The answers that were given, to the copied requests only.
    pub live: Sample,
    /// What the shadow answered to the same requests.
    pub shadow: Sample,
    /// Both, row by row.
    pub pairs: Pairs,
}

/// What a replica has counted of one revision of a deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The deployment.
    pub deployment: String,
    /// The revision.
    pub revision: u64,
    /// When counting began, in seconds.
    pub began: f64,
    /// Until when it was counted.
    pub until: f64,
    /// By version.
    pub arms: BTreeMap<String, Sample>,
    /// The shadow, where there is one.
    pub shadow: Option<Shadowed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenShadow {
    live: part::Written,
    pairs: pairs::Written,
    shadow: part::Written,
    version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    arms: BTreeMap<String, part::Written>,
    began: f64,
    deployment: String,
    format: u32,
    revision: u64,
    shadow: Option<WrittenShadow>,
    until: f64,
}

impl Samples {
    /// Takes in what another replica has counted of the same revision.
    ///
    /// # Errors
    /// `InvalidInput` when it is of another revision, or counted in other cells or ranges.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (&self.deployment, self.revision) != (&other.deployment, other.revision) {
            return Err(Error::invalid(format!(
                "samples of {:?} revision {} and of {:?} revision {} cannot be merged: they are of different plans",
                self.deployment, self.revision, other.deployment, other.revision
            )));
        }
        self.began = self.began.min(other.began);
        self.until = self.until.max(other.until);
        for (version, more) in &other.arms {
            match self.arms.get_mut(version) {
                Some(own) => own.merge(more)?,
                None => {
                    self.arms.insert(version.clone(), more.clone());
                }
            }
        }
        match (&mut self.shadow, &other.shadow) {
            (Some(own), Some(more)) if own.version == more.version => {
                own.live.merge(&more.live)?;
                own.shadow.merge(&more.shadow)?;
                own.pairs.merge(&more.pairs)?;
            }
            (Some(own), Some(more)) => {
                return Err(Error::invalid(format!(
                    "samples of the shadows {:?} and {:?} cannot be merged: a revision has one",
                    own.version, more.version
                )));
            }
            (own @ None, more) => own.clone_from(more),
            (Some(_), None) => {}
        }
        Ok(())
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let arms = self.arms.iter();
        let written = Written {
            arms: arms
                .map(|(version, sample)| (version.clone(), sample.write()))
                .collect(),
            began: self.began,
            deployment: self.deployment.clone(),
            format: FORMAT,
            revision: self.revision,
            shadow: self.shadow.as_ref().map(|shadow| WrittenShadow {
                live: shadow.live.write(),
                pairs: shadow.pairs.write(),
                shadow: shadow.shadow.write(),
                version: shadow.version.clone(),
            }),
            until: self.until,
        };
        // `Value` keeps its keys sorted, which makes the text canonical.
        serde_json::to_value(&written)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }

    /// Reads what [`Samples::to_json`] wrote.
    ///
    /// # Errors
    /// `State` for what is truncated, edited or of a later format.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Tag {
            format: u32,
        }
        let unreadable = |error| Error::state(format!("not samples of a deployment: {error}"));
        let Tag { format } = serde_json::from_str(text).map_err(unreadable)?;
        if format > FORMAT {
            return Err(Error::state(format!(
                "samples of format {format} are newer than {FORMAT}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let written: Written = serde_json::from_str(text).map_err(unreadable)?;
        let arms = written.arms.into_iter();
        let shadow = written.shadow.map(|shadow| {
            Ok::<_, Error>(Shadowed {
                version: shadow.version,
                live: Sample::read(shadow.live)?,
                shadow: Sample::read(shadow.shadow)?,
                pairs: shadow.pairs.try_into()?,
            })
        });
        Ok(Self {
            deployment: written.deployment,
            revision: written.revision,
            began: written.began,
            until: written.until,
            arms: arms
                .map(|(version, sample)| Ok((version, Sample::read(sample)?)))
                .collect::<Result<_>>()?,
            shadow: shadow.transpose()?,
        })
    }
}
