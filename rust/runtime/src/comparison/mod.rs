//! What is counted of the versions that share a deployment's traffic, and of a shadow.
//!
//! A [`Comparison`] belongs to one revision of a deployment: it begins empty with it, and is kept until the
//! next one is replaced, for labels that come late. A deployment of one version without a shadow has
//! none, and its requests cost nothing more. Everything but failures is counted by the observer's
//! thread; a shadow runs in a thread of its own ([`shade`]).

mod exposition;
mod reading;
mod revision;
mod shade;

pub(crate) use exposition::render;
pub(crate) use reading::{LABEL, PROBABILITIES};
pub(crate) use revision::{Comparison, Joined, Side};
pub use shade::SHADOW_BYTES;
pub(crate) use shade::{Copied, CopiedInputs};
