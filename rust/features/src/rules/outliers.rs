//! Values far from the middle of their own distribution, found in one pass.
//!
//! Fences are known at the end only, so values are kept in a quantile sketch (exact up to
//! `EXACT_LIMIT` of them) and counted against the fences then. The rows to show are the outermost
//! values of both sides, of which so many are remembered as a report may show.

use tidegate_sketch::{Moments, Quantiles};

use super::spec::Method;

/// What turns the median of absolute deviations into a standard deviation of normal values.
const NORMAL: f64 = 0.6745;

/// Values of a stream, and its outermost ones with their rows.
#[derive(Clone, Debug)]
pub(super) struct Outliers {
    method: Method,
    threshold: f64,
    moments: Moments,
    values: Quantiles,
    sides: [Side; 2],
}

/// What the end says.
pub(super) struct Fenced {
    pub failures: u64,
    pub missing: u64,
    /// No fence where there is nothing to take the middle of, or no spread around it.
    pub fences: Option<(f64, f64)>,
    pub exact: bool,
    /// Rows beyond the fences with their values, in order of the row.
    pub rows: Vec<(u64, f64)>,
}

/// The greatest values of a side, after `sign` has turned it up.
#[derive(Clone, Debug)]
struct Side {
    sign: f64,
    limit: usize,
    /// Falling by value.
    kept: Vec<(f64, u64)>,
    least: f64,
}

impl Side {
    const fn new(sign: f64, limit: usize) -> Self {
        Self {
            sign,
            limit,
            kept: Vec::new(),
            least: f64::NEG_INFINITY,
        }
    }

    #[inline]
    fn push(&mut self, value: f64, row: u64) {
        let value = self.sign * value;
        if value > self.least {
            self.keep(value, row);
        }
    }

    fn keep(&mut self, value: f64, row: u64) {
        let at = self.kept.partition_point(|(kept, _)| *kept >= value);
        if self.limit == 0 {
            return;
        }
        self.kept.truncate(self.limit - 1);
        self.kept.insert(at.min(self.kept.len()), (value, row));
        if self.kept.len() == self.limit
            && let Some((least, _)) = self.kept.last()
        {
            self.least = *least;
        }
    }
}

impl Outliers {
    pub fn new(method: Method, threshold: Option<f64>, sample: usize) -> Self {
        Self {
            method,
            threshold: threshold.unwrap_or(method.usual()),
            moments: Moments::new(),
            values: Quantiles::new(),
            sides: [Side::new(1.0, sample), Side::new(-1.0, sample)],
        }
    }

    pub fn update(&mut self, values: &[f64], before: u64) {
        if self.method == Method::Zscore {
            self.moments.update_many(values);
        }
        self.values.update_many(values);
        let [high, low] = &mut self.sides;
        for (row, &value) in (before..).zip(values) {
            high.push(value, row);
            low.push(value, row);
        }
    }

    pub fn merge(&mut self, other: &Self, before: u64) {
        self.moments.merge(&other.moments);
        self.values.merge(&other.values);
        for (side, theirs) in self.sides.iter_mut().zip(&other.sides) {
            for &(value, row) in &theirs.kept {
                if value > side.least {
                    side.keep(value, row + before);
                }
            }
        }
    }

    /// The middle and how far from it, or from its quartiles, a value may be.
    fn fences(&self) -> Option<(f64, f64)> {
        let (low, high, reach) = match self.method {
            Method::Zscore => {
                let mean = self.moments.mean()?;
                (mean, mean, self.moments.std(0)?)
            }
            Method::Iqr => {
                let quartiles = self.values.quantiles(&[0.25, 0.75]).ok()??;
                let (low, high) = (*quartiles.first()?, *quartiles.get(1)?);
                (low, high, high - low)
            }
            Method::Mad => {
                let median = self.values.quantile(0.5).ok()??;
                (median, median, self.deviation(median)? / NORMAL)
            }
        };
        (reach > 0.0).then_some((low - self.threshold * reach, high + self.threshold * reach))
    }

    /// The median of the absolute deviations from a value.
    fn deviation(&self, middle: f64) -> Option<f64> {
        let mut kept = self.values.kept();
        for (value, _) in &mut kept {
            *value = (*value - middle).abs();
        }
        kept.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let last = self.values.count().checked_sub(1)?;
        let at = |rank: u64| {
            let mut end = 0;
            kept.iter()
                .find(|(_, weight)| {
                    end += weight;
                    end > rank
                })
                .map(|(value, _)| *value)
        };
        Some(f64::midpoint(at(last / 2)?, at(last.div_ceil(2))?))
    }

    pub fn finish(&self) -> Fenced {
        let fences = self.fences();
        let beyond = |value: f64| fences.is_some_and(|(low, high)| value < low || value > high);
        let (negative, positive) = self.values.infinite();
        let finite: u64 = if fences.is_some() {
            let kept = self.values.kept();
            kept.iter()
                .filter(|(value, _)| beyond(*value))
                .map(|(_, weight)| weight)
                .sum()
        } else {
            0
        };
        let mut rows: Vec<(u64, f64)> = self
            .sides
            .iter()
            .flat_map(|side| {
                side.kept
                    .iter()
                    .map(|(value, row)| (*row, side.sign * value))
            })
            .filter(|(_, value)| value.is_infinite() || beyond(*value))
            .collect();
        rows.sort_unstable_by_key(|(row, _)| *row);
        rows.dedup_by_key(|(row, _)| *row);
        Fenced {
            failures: finite + negative + positive,
            missing: self.values.missing(),
            fences,
            exact: self.values.is_exact(),
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<f64> {
        let mut values: Vec<f64> = (0..100).map(f64::from).collect();
        values[10] = 1_000.0;
        values[20] = -1_000.0;
        values[30] = f64::NAN;
        values[40] = f64::INFINITY;
        values
    }

    #[test]
    fn outliers_are_those_beyond_the_fences() {
        for method in [Method::Zscore, Method::Iqr, Method::Mad] {
            let mut outliers = Outliers::new(method, None, 5);
            outliers.update(&values(), 0);
            let found = outliers.finish();
            assert_eq!((found.failures, found.missing), (3, 1), "{method:?}");
            let rows: Vec<u64> = found.rows.iter().map(|(row, _)| *row).collect();
            assert_eq!(rows, [10, 20, 40], "{method:?}");
        }
    }

    #[test]
    fn fences_are_those_of_the_textbook() {
        let mut outliers = Outliers::new(Method::Iqr, None, 0);
        outliers.update(&[1.0, 2.0, 3.0, 4.0, 5.0], 0);
        assert_eq!(outliers.finish().fences, Some((-1.0, 7.0)));
        let mut outliers = Outliers::new(Method::Mad, Some(0.6745), 0);
        outliers.update(&[1.0, 2.0, 3.0, 4.0, 100.0], 0);
        assert_eq!(outliers.finish().fences, Some((2.0, 4.0)));
    }

    #[test]
    fn pieces_find_what_the_whole_finds() {
        let values = values();
        let mut left = Outliers::new(Method::Mad, None, 5);
        let mut right = left.clone();
        left.update(&values[..33], 0);
        right.update(&values[33..], 0);
        left.merge(&right, 33);
        let found = left.finish();
        assert_eq!(found.failures, 3);
        assert_eq!(found.rows.len(), 3);
        assert_eq!(found.rows[2].0, 40);
    }

    #[test]
    fn without_a_spread_there_is_no_fence() {
        let mut outliers = Outliers::new(Method::Zscore, None, 5);
        outliers.update(&[2.0; 10], 0);
        let found = outliers.finish();
        assert!(found.fences.is_none() && found.failures == 0);
        assert!(
            Outliers::new(Method::Mad, None, 5)
                .finish()
                .fences
                .is_none()
        );
    }
}
