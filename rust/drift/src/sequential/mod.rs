//! Tests that may be looked at after any row: e-values, and confidence sequences.
//!
//! A p-value holds for one look that was planned. These hold for all looks together: if what is taken
//! to be harmless is true, the chance that the e-value *ever* reaches `1 / α` is at most `α` (Ville's
//! inequality), and the interval misses the truth *ever* with as little a chance. Nothing here is a test of
//! exact equality, which enough traffic always refutes: each hypothesis has a tolerance.
//!
//! [`CellsTest`] is about the distribution of a column over its cells, [`CellsDifference`] about those of
//! two growing streams, [`Mean`], [`Proportion`] and
//! [`Quantile`] are about one figure, [`Difference`] about one figure in two streams. [`Starts`] finds
//! changes that come after a long quiet time, and [`discoveries`] keeps the alarms of many columns honest.

mod cells;
mod difference;
mod discovery;
pub(crate) mod document;
mod interval;
mod mean;
mod mixture;
mod proportion;
mod quantile;
mod sets;
mod starts;
mod stream;
mod tolerance;

pub use cells::CellsTest;
pub use difference::{Comparable, Difference};
pub use discovery::{discoveries, threshold};
pub use interval::{Interval, rows_to_go};
pub use mean::Mean;
pub use proportion::Proportion;
pub(crate) use proportion::interval as share_interval;
pub use quantile::Quantile;
pub use sets::CellsDifference;
pub use starts::{MOST_STARTS, Start, Starts};
pub use stream::{Harmless, Stream};
