//! Which version of a model answers a request: the traffic plan of a deployment, and the choice
//! that it makes.
//!
//! A plan is read once ([`Plan`]) and built into a [`Deployment`], which is swapped as a whole. A
//! request makes its [`Choice`] when it is let in, by what is known of it then ([`Clues`]); only
//! where a rule or the key names a column it is left open until the rows are read.

mod choice;
mod clues;
mod counts;
mod deployment;
mod document;
mod exposition;
mod plan;
mod policy;
mod split;

pub use choice::{By, Choice, Routed};
pub use clues::{Clues, Direct};
pub use deployment::{Arm, Deployment, Revision, Shadow};
pub(crate) use exposition::render;
pub use plan::{
    ArmPlan, Experiment, KeyPlan, MAX_ARMS, MAX_RULES, MAX_VALUES, Origin, Plan, Role, RulePlan,
    ShadowPlan, WHOLE,
};
pub use split::{Group, Split};
