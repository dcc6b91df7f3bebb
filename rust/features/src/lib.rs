//! Feature expressions: fitted once, frozen, and run over a table or a row by the same kernels.
//!
//! A [`FeatureSpec`] is a schema and expressions. A [`Fitter`] learns what they need in as few
//! passes as their nesting asks for, and ends in a [`Plan`], which turns a table (or a table of one
//! row) into a row-major matrix of 32- or 64-bit floats, or into a sparse one.
//!
//! A new expression is one file in `operations/` that implements the contract of `expression.rs`,
//! and one line in the table of `operations/mod.rs`.

mod calendar;
mod compile;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod damage;
mod explain;
mod expr;
mod expression;
mod fitter;
pub mod fuzz;
mod graph;
mod kernel;
mod load;
mod murmur;
mod operations;
mod output;
mod parallel;
mod plan;
mod program;
#[cfg(test)]
mod properties;
pub mod rules;
mod selection;
mod spec;
mod value;
mod wide;
mod zone;

pub use expr::Expr;
pub use fitter::{Fitter, Step};
pub use output::{Cell, Sparse};
pub use parallel::{Pulse, on_all_cores};
pub use plan::Plan;
pub use spec::{FeatureSpec, MAX_DEPTH, MAX_FEATURES, MAX_WIDTH};
