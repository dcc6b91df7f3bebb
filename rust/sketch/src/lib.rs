//! Mergeable one-pass summaries of streams of values.
//!
//! Each summary is updated value by value or slice by slice, merges with another of its kind, and
//! is kept as versioned JSON. None reads a clock, draws a random number or does I/O: the same
//! values give the same summary on every machine. In all of them NaN is *missing* and is counted,
//! never computed with; what the infinities do stands at each type.

mod cuts;
mod document;
mod error;
mod frequencies;
mod hash;
mod histogram;
mod lookup;
mod moments;
mod quantiles;

pub use cuts::Cuts;
pub use error::{Error, ErrorKind, Result};
pub use frequencies::{DISTINCT_LIMIT, Frequencies, Overflow};
pub use hash::{TextHash, text_hash};
pub use histogram::{Histogram, MAX_EDGES};
pub use lookup::{NumberMap, TextMap};
pub use moments::Moments;
pub use quantiles::{EXACT_LIMIT, LEVEL_LIMIT, Quantiles};
