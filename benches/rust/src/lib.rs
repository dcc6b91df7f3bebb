//! Micro-benchmarks of the Rust crates: see the `benches/` folder beside this file.
