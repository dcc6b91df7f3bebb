//! The mean of a stream since a start.

use serde::{Deserialize, Serialize};

/// How many values there were, and their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mean {
    pub count: u64,
    pub mean: f64,
}

impl Mean {
    /// Takes in one value. The order of operations is river's, so that rounding, and with it
    /// decisions at a bound, are the same.
    #[inline]
    pub fn update(&mut self, value: f64) {
        self.count += 1;
        self.mean += (1.0 / self.count as f64) * (value - self.mean);
    }
}
