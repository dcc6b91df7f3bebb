//! HTTP and gRPC listeners of the data plane: routes, limits, pass-through to the control plane, drain.
//!
//! Each worker is one thread with one event loop and owns its connections; nothing of a request
//! crosses threads unless the model is too dear to run in place. A request is read
//! (`connection`, `body`), found in the table (`routes`), answered (`infer`, `predict`, …) and
//! counted. What the table does not know is passed to the control plane (`proxy`).

pub mod access;
mod access_log;
mod arrival;
mod asking;
mod body;
mod call;
mod connection;
mod counters;
mod drift;
mod durations;
mod echo;
mod errors;
mod event_loop;
mod exchange;
mod feedback;
mod grpc;
mod health;
mod infer;
mod intake;
mod lines;
mod listener;
mod log;
mod meta;
mod metrics;
mod mount;
mod options;
mod pace;
mod predict;
mod proxy;
mod pulse;
mod record;
mod reply;
mod routes;
mod server;
mod service;
mod span;
mod stream;
mod task;
mod tls;
mod trace;
mod tracer;
mod turn;

pub use errors::{reply as error_reply, status_code as error_status};
pub use log::{Level, Log};
pub use mount::{Mount, MountTicket};
pub use options::{Limit, Limits, Options};
pub use reply::Reply;
pub use routes::{Entry, Route, TABLE};
pub use server::{Running, Server, Stopper};
pub use service::{Service, Shared};
pub use tls::Tls;
pub use tracer::Tracer;
pub use turn::{Flush, Turn};
