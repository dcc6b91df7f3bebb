//! Deployments and the path of a prediction: features, batch, backend, observation.
//!
//! A [`Runtime`] loads bundles into [`Model`]s and finds them by name. A model answers
//! [`Model::predict`] in the caller's thread when it is idle, and [`Model::submit`] through its
//! queue, whose batches are merged by rows. What was answered is counted by a thread of its own.

mod admit;
mod alarms;
mod answer;
pub mod backend;
mod background;
pub mod bundle;
mod comparison;
mod deployments;
mod door;
mod exposition;
mod failures;
pub mod feedback;
mod guard;
mod id;
mod metrics;
mod model;
mod observe;
mod observed;
pub mod onnx;
mod options;
mod output;
mod park;
mod path;
pub mod routing;
mod runtime;
mod shared;
mod split;
mod telling_column;
mod ticket;
mod vigil;
mod watch;
mod work;

pub use answer::{Answer, Input};
pub use comparison::SHADOW_BYTES;
pub use door::Permit;
pub use failures::FailedRow;
pub use guard::Guarded;
pub use id::Ids;
pub use metrics::{Stage, Statistics, Timing};
pub use model::Model;
pub use options::{
    CallOptions, Clock, FEEDBACK_BYTES, LoadOptions, OBSERVATION_BYTES, Options, QUALITY_SECONDS,
    instances_by_cores,
};
pub use output::output_columns;
pub use routing::{Choice, Clues, Deployment, Direct, Routed};
pub use runtime::Runtime;
pub use ticket::Ticket;

pub use tidegate_batching::{Limits, Reason, SizeStatistics, Statistics as BatchStatistics};
pub use tidegate_drift::{AlarmOptions, Baseline, Report, Windows};
pub use tidegate_features::rules::Policy;
pub use tidegate_predictionlog::{PredictionId, log};
pub use tidegate_protocol::TensorInfo;
