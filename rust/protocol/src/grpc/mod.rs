//! The Open Inference Protocol over gRPC: messages to types and back.
//!
//! The messages are generated from `proto/` by prost, without `protoc`, and checked in; a test
//! holds the two together. Inference itself is read and written by hand in one pass: into typed
//! tensors at once, with every limit checked before memory is taken, where a generated message of
//! 64 MiB of two-byte inputs would take gigabytes. The tests hold both readers to the same.

mod contents;
mod metadata;
mod parameters;
mod request;
mod response;
mod status;
mod wire;

/// The messages of `inference.proto`.
#[allow(clippy::all, clippy::pedantic, unused_qualifications)]
#[rustfmt::skip]
#[path = "generated/inference.rs"]
pub mod messages;

/// The messages of `health.proto`.
#[allow(clippy::all, clippy::pedantic, unused_qualifications)]
#[rustfmt::skip]
#[path = "generated/grpc.health.v1.rs"]
pub mod health;

pub use request::{Target, decode, target};
pub use response::{StreamReply, encode, encode_stream};
pub use status::{Code, code, code_of_http};
