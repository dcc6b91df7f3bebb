//! Which arm answers a request, and why.

use std::sync::Arc;

use tidegate_protocol::columns;
use tidegate_schema::{Result, Table};

use super::clues::Clues;
use super::deployment::{Arm, Deployment};
use super::plan::Role;
use super::policy::{Early, Pick};
use crate::Model;
use crate::answer::Input;

/// Why an arm was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Every request gets it.
    Only,
    /// The request asked for this version.
    Version,
    /// A rule fitted.
    Rule,
    /// The key's share of the split.
    Split,
    /// The key takes part in the experiment, and this is its arm.
    Experiment,
    /// The key takes no part in the experiment.
    Outside,
}

impl By {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Only,
        Self::Version,
        Self::Rule,
        Self::Split,
        Self::Experiment,
        Self::Outside,
    ];

    /// The label in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Version => "version",
            Self::Rule => "rule",
            Self::Split => "split",
            Self::Experiment => "experiment",
            Self::Outside => "outside",
        }
    }
}

/// The arm that answers a request. It is of one revision, whatever is deployed meanwhile.
#[derive(Clone, Debug)]
pub struct Routed {
    arm: Arc<Arm>,
    by: By,
}

impl Routed {
    /// The arm.
    #[must_use]
    pub const fn arm(&self) -> &Arc<Arm> {
        &self.arm
    }

    /// The version that answers.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.arm.model
    }

    /// Why.
    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }

    /// The revision that the request was routed by.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.arm.revision.number
    }

    /// The part that the arm plays.
    #[must_use]
    pub fn role(&self) -> Role {
        self.arm.role
    }

    /// The experiment that the request takes part in.
    #[must_use]
    pub fn experiment(&self) -> Option<&Arc<str>> {
        let experiment = self.arm.revision.experiment.as_ref();
        experiment.filter(|_| self.by == By::Experiment)
    }
}

/// What waits for the rows of a request.
#[derive(Debug)]
struct Open {
    deployment: Arc<Deployment>,
    otherwise: Pick,
    rules: usize,
    keyed: bool,
}

/// The choice of an arm for one request; open while a column decides that has not been read.
#[derive(Debug)]
pub struct Choice {
    routed: Routed,
    open: Option<Box<Open>>,
}

impl Choice {
    /// The arm that answers. While the choice is open it is the stable one, which knows what a
    /// request must hold: the arms of a deployment take and give the same.
    #[must_use]
    pub const fn routed(&self) -> &Routed {
        &self.routed
    }

    /// Does a column decide?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Makes an open choice by what a request asks with, and gives that back.
    ///
    /// # Errors
    /// `InvalidInput` for tensors that are no rows of the model.
    pub fn settle_input(&mut self, input: Input) -> Result<Input> {
        if !self.is_open() {
            return Ok(input);
        }
        let table = match (input, self.routed.model().schema()) {
            (Input::Tensors(tensors), Some(schema)) => columns::from_tensors(&tensors, schema)?,
            (Input::Table(table), _) => table,
            // Only plans of models with columns choose by them.
            (input, None) => return Ok(input),
        };
        self.settle(&table.view()?);
        Ok(Input::Table(table))
    }

    /// Makes an open choice by the first of the rows; one that is made stays as it is.
    pub fn settle(&mut self, rows: &Table<'_>) {
        if let Some(open) = self.open.take() {
            let left = (open.otherwise, open.rules, open.keyed);
            let pick = open.deployment.settled(rows, left);
            if let Some(arm) = open.deployment.arms().get(pick.0) {
                self.routed = chosen(arm, pick.1);
            }
        }
    }
}

fn chosen(arm: &Arc<Arm>, by: By) -> Routed {
    arm.chosen.add(by);
    Routed {
        arm: Arc::clone(arm),
        by,
    }
}

impl Deployment {
    /// Chooses the arm for a request: that of a version, if it asks for one.
    ///
    /// # Errors
    /// `NotFound` for a version that is no arm.
    pub fn choose(self: &Arc<Self>, version: Option<&str>, clues: &dyn Clues) -> Result<Choice> {
        let Some(policy) = self.policy() else {
            // What most deployments are: nothing is decided, and nothing counted.
            let arm = match version {
                None => self.only(),
                Some(version) => self.arm(Some(version))?,
            };
            let routed = Routed {
                arm: Arc::clone(arm),
                by: By::Only,
            };
            return Ok(Choice { routed, open: None });
        };
        if version.is_some() {
            let routed = chosen(self.arm(version)?, By::Version);
            return Ok(Choice { routed, open: None });
        }
        Ok(match policy.early(clues) {
            Early::Made((place, by)) => Choice {
                routed: chosen(self.arms().get(place).unwrap_or_else(|| self.stable()), by),
                open: None,
            },
            Early::Open {
                otherwise,
                rules,
                keyed,
            } => Choice {
                routed: Routed {
                    arm: Arc::clone(self.stable()),
                    by: otherwise.1,
                },
                open: Some(Box::new(Open {
                    deployment: Arc::clone(self),
                    otherwise,
                    rules,
                    keyed,
                })),
            },
        })
    }

    fn settled(&self, rows: &Table<'_>, left: (Pick, usize, bool)) -> Pick {
        let policy = self.policy();
        policy.map_or(left.0, |policy| policy.late(rows, left))
    }
}
