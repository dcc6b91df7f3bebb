//! Load generator for benchmarks: open and closed loop, every answer checked.
//!
//! One thread drives all connections through one poll, so that a core of clients outruns a core
//! of any server: a generator that is the bottleneck measures itself. The bodies are prepared and
//! sent in a varied order, since repeated rows flatter caches and branch predictors.

mod affinity;
mod answer;
mod check;
mod connection;
mod engine;
mod histogram;
mod plan;
mod report;

pub use affinity::pin;
pub use answer::{Answer, MAX_ANSWER, Parsed, parse};
pub use check::{Checker, Expect};
pub use engine::run;
pub use histogram::Histogram;
pub use plan::{Arrivals, Case, Form, Late, MAX_CONNECTIONS, MAX_SECONDS, Plan};
pub use report::{Errors, Latency, Report};
