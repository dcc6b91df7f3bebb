//! The Open Inference Protocol on the wire: JSON, binary tensors, gRPC and row JSON.
//!
//! Pure functions between bytes and types: no I/O, no clock, no thread. Nothing here panics,
//! whatever the bytes; limits are checked before memory is taken ([`Limits`]).

pub mod arrow;
pub mod columns;
pub mod duration;
mod element;
mod error;
pub mod feedback;
pub mod fuzz;
pub mod grpc;
pub mod infer;
mod json;
mod limits;
pub mod metadata;
mod parameter;
pub mod pieces;
pub mod predict;
pub mod rows;
pub mod statistics;
pub mod timestamp;
mod write;

pub use error::{error_body, status};
pub use limits::Limits;
pub use metadata::TensorInfo;
pub use parameter::{Parameter, Parameters};
