//! The traffic plan of a deployment, as its document says it.

use serde::{Deserialize, Serialize};
use tidegate_drift::tally::Observe;

/// The sum of the weights of all arms, and a whole share: weights are basis points.
pub const WHOLE: u32 = 10_000;
/// Most arms of a deployment.
pub const MAX_ARMS: usize = 16;
/// Most rules of a deployment.
pub const MAX_RULES: usize = 100;
/// Most values of one rule.
pub const MAX_VALUES: usize = 1_000;

/// What part an arm plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The version that others are held against, and that answers outside of experiments.
    Stable,
    /// A version on trial.
    Candidate,
    /// One of several in an A/B test.
    Arm,
}

impl Role {
    /// Its name in documents, labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
            Self::Arm => "arm",
        }
    }
}

/// One version that gets live traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmPlan {
    /// Its version.
    pub version: String,
    /// The digest of its bundle, which the loaded one must have.
    #[serde(default)]
    pub digest: Option<String>,
    /// Its share of the keys in basis points; 0 keeps it warm.
    pub weight: u32,
    /// What part it plays.
    pub role: Role,
}

/// The version that gets copies of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowPlan {
    /// Its version.
    pub version: String,
    /// The digest of its bundle, which the loaded one must have.
    #[serde(default)]
    pub digest: Option<String>,
    /// The share of requests that are copied, in basis points.
    pub share: u32,
}

/// Where a value of a request is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The request's id.
    #[default]
    Request,
    /// A header, or metadata of gRPC.
    Header,
    /// A claim of the caller's token.
    Claim,
    /// A raw column, of which the first row counts.
    Column,
}

impl Origin {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Header => "header",
            Self::Claim => "claim",
            Self::Column => "column",
        }
    }
}

/// What requests stick to their version by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPlan {
    /// Where the key is found.
    pub from: Origin,
    /// The name of the header, claim or column.
    #[serde(default)]
    pub name: Option<String>,
}

/// Requests with one of these values get this version, before the split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePlan {
    /// Where the value is found.
    pub from: Origin,
    /// The name of the header, claim or column.
    pub name: String,
    /// The values, as texts.
    #[serde(rename = "in")]
    pub values: Vec<String>,
    /// The version that these requests get.
    pub version: String,
}

/// An A/B test: who takes part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// Experiments of one group whose spans do not meet exclude each other; without one the
    /// experiment is a group of its own.
    #[serde(default)]
    pub group: Option<String>,
    /// Keys whose position in the group is at least this, in basis points,
    pub from: u32,
    /// and below this take part.
    pub to: u32,
}

/// The traffic plan of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The versions that get live traffic; exactly one of them is the stable one.
    pub arms: Vec<ArmPlan>,
    /// The version that gets copies.
    #[serde(default)]
    pub shadow: Option<ShadowPlan>,
    /// What requests stick to their version by.
    #[serde(default)]
    pub key: KeyPlan,
    /// The first that fits counts, before the split.
    #[serde(default)]
    pub rules: Vec<RulePlan>,
    /// Who takes part in the split; all where there is none.
    #[serde(default)]
    pub experiment: Option<Experiment>,
    /// What is counted for gates.
    #[serde(default)]
    pub observe: Option<Observe>,
}
