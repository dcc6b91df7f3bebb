//! Detectors of change in a stream of single values: ADWIN, Page–Hinkley, CUSUM, DDM, HDDM and
//! KSWIN.
//!
//! A detector watches one stream, such as a model's errors or one of its features, and says after
//! each value whether the stream has changed. After a change it starts afresh with the next value.
//! With the same parameters each decides as river 0.26 does; where not, its page here says why.
//!
//! NaN is missing: counted, and no detector sees it. Values that are infinite or beyond
//! [`MAX_MAGNITUDE`] are counted apart and not seen either, for one of them would blind a detector
//! for good.

mod adwin;
mod cusum;
mod ddm;
mod detector;
mod hddm_a;
mod hddm_w;
mod kswin;
mod mean;
mod page_hinkley;

pub use adwin::Adwin;
pub use cusum::Cusum;
pub use ddm::Ddm;
pub use detector::{Changes, Detector, Method};
pub use hddm_a::HddmA;
pub use hddm_w::HddmW;
pub use kswin::{Kswin, MAX_WINDOW};
pub use page_hinkley::PageHinkley;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

/// Greatest magnitude that a detector takes in: squares of such values still add up without
/// overflow.
pub const MAX_MAGNITUDE: f64 = 1e140;

/// What a detector says after a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Nothing has changed as far as can be told.
    #[default]
    Steady,
    /// Something may be changing; DDM and HDDM say so.
    Warning,
    /// The stream has changed.
    Drift,
}

/// Which changes of a mean count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Increases.
    Up,
    /// Decreases.
    Down,
    /// Both.
    #[default]
    Both,
}

impl Direction {
    /// Does a sum for increases or one for decreases pass the limit?
    #[inline]
    fn passes(self, increase: f64, decrease: f64, limit: f64) -> bool {
        (self != Self::Down && increase > limit) || (self != Self::Up && decrease > limit)
    }
}

/// One way of detecting: what it knows of the stream since its last start.
trait Kernel {
    /// Are values between 0 and 1 the only ones that make sense?
    const UNIT: bool = false;

    /// Are the parameters in their ranges, and is a state that was read one that can occur?
    fn check(&mut self) -> Result<()>;
    /// Takes in one finite value.
    fn step(&mut self, value: f64) -> Signal;
    /// Forgets what was seen; called before the first value after a change.
    fn restart(&mut self);
    /// The figures that the decisions come from, by name.
    fn figures(&self) -> Vec<(&'static str, f64)>;
}

/// A parameter that is a number within bounds.
fn within(method: &str, name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name}={value} of {method}: use a number from {low} to {high}"
    )))
}

/// A share strictly between 0 and 1, such as a level of significance.
fn share(method: &str, name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name}={value} of {method}: use a share between 0 and 1"
    )))
}
