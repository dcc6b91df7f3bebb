//! Mergeable one-pass summaries of streams of values.
//!
//! Each summary is updated value by value or slice by slice, merges with another of its kind, and
//! is kept as versioned JSON. None reads a clock or does I/O, and the one that draws random numbers
//! draws them from its seed: the same values give the same summary on every machine. In all of them
//! NaN is *missing* and is counted, never computed with (a sample keeps the rows that hold it); what
//! the infinities do stands at each type.

mod covariance;
mod cuts;
mod distinct;
mod document;
mod error;
mod frequencies;
mod frequent;
mod hash;
mod histogram;
mod lookup;
mod moments;
mod order;
mod quantiles;
mod random;
mod relative;
mod reservoir;

pub use covariance::{Covariance, MAX_COVARIANCE_COLUMNS};
pub use cuts::Cuts;
pub use distinct::{Distinct, PRECISION};
pub use error::{Error, ErrorKind, Result};
pub use frequencies::{DISTINCT_LIMIT, Frequencies, Overflow};
pub use frequent::{FREQUENT_LIMIT, FrequentItems, MAX_FREQUENT_LIMIT};
pub use hash::{TextHash, text_hash};
pub use histogram::{Histogram, MAX_EDGES};
pub use lookup::{NumberMap, TextMap, text_view};
pub use moments::Moments;
pub use quantiles::{EXACT_LIMIT, LEVEL_LIMIT, Quantiles};
pub use random::SplitMix64;
pub use relative::{MAX_RELATIVE_CELLS, RELATIVE_ACCURACY, RELATIVE_CELLS, RelativeQuantiles};
pub use reservoir::{MAX_SAMPLED, Reservoir};
