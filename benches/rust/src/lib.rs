//! Micro-benchmarks of the Rust crates: see the `benches/` folder beside this file. Here is what they
//! measure with.

pub mod batching;
pub mod drift;
pub mod features;
pub mod routing;
pub mod samples;
