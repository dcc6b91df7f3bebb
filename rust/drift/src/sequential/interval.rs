//! What a test says beside its e-value: an interval, and how much more evidence it is likely to need.

use serde::Serialize;

/// Values that the evidence does not exclude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// How far ahead a forecast looks, in multiples of what has been seen.
const FARTHEST: f64 = 1_000_000.0;
/// Halvings of a forecast's interval: within 1 %.
const STEPS: u32 = 12;

/// How many rows more are likely to be needed until `log_e` reaches `level`, if they look like the
/// `rows` seen so far. `log_e(factor)` is the evidence of so many times the rows. 0 when it is
/// reached; `None` when it would not be after a million times the rows.
pub fn rows_to_go(rows: u64, level: f64, log_e: impl Fn(f64) -> f64) -> Option<u64> {
    if log_e(1.0) >= level {
        return Some(0);
    }
    let (mut low, mut high) = (1.0, 2.0);
    while log_e(high) < level {
        if high >= FARTHEST {
            return None;
        }
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if log_e(middle) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Less than one row more is one row.
    Some((((high - 1.0) * rows as f64).ceil() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_come_is_told() {
        // Evidence of 0.01 a row, and 100 rows seen: 500 are needed in all.
        let log_e = |factor: f64| 0.01 * 100.0 * factor;
        let more = rows_to_go(100, 5.0, log_e).unwrap();
        assert!((400..=404).contains(&more), "{more}");
        assert_eq!(rows_to_go(100, 1.0, log_e), Some(0));
        assert_eq!(rows_to_go(100, 5.0, |_| -3.0), None);
    }
}
