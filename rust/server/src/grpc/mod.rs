//! The Open Inference Protocol over gRPC, on the event loops of the data plane.
//!
//! Requests of both protocols meet in one queue, because the same threads read both: hyper's
//! HTTP/2 with its requests as tasks of their thread, like the HTTP listener. gRPC's framing (five
//! bytes before each message, a status after the last) is done here on top of it. tonic's
//! generated services want every handler to be `Send` and to own what it uses; ours share the
//! queue's turn and the connection's state within one thread, without locks. Its codec would copy
//! each message once more and refuse large ones without naming the limit. So tonic is not used;
//! the benchmark measures against it.

mod admission;
mod body;
mod call;
mod connection;
mod counters;
mod health;
mod infer;
mod logging;
mod messages;
mod methods;
mod reply;
mod repository;
mod status;
mod stream;
mod timeout;

pub use connection::{TOO_MANY, spawn};
pub use counters::{Counters, write};
#[cfg(test)]
pub use methods::METHODS;
pub use methods::Method;
