//! The baseline of a numeric column: quantile bins, and cells for what lies outside them.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::{Histogram, Moments, Quantiles};

use crate::error::lift;

/// Counts of a numeric column over bins that hold about equally many baseline values each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numeric {
    /// Cells below, the bins, above, missing.
    pub(crate) histogram: Histogram,
    pub(crate) moments: Moments,
}

impl Numeric {
    /// The cells of the values that were summarised: `bins` quantile bins, 2 to [`MAX_BINS`](crate::MAX_BINS).
    pub fn new(quantiles: &Quantiles, moments: &Moments, bins: usize) -> Result<Self> {
        if !(2..=crate::MAX_BINS).contains(&bins) {
            return Err(Error::invalid(format!(
                "{bins} bins: use 2 to {}",
                crate::MAX_BINS
            )));
        }
        let kept = quantiles.kept();
        let mut histogram = Histogram::new(edges(&kept, quantiles.count(), bins)).map_err(lift)?;
        for (value, weight) in kept {
            histogram.update_weighted(value, weight);
        }
        let (below, above) = quantiles.infinite();
        histogram.update_weighted(f64::NEG_INFINITY, below);
        histogram.update_weighted(f64::INFINITY, above);
        histogram.update_weighted(f64::NAN, quantiles.missing());
        Ok(Self {
            histogram,
            moments: moments.clone(),
        })
    }

    /// The edges of the bins and the baseline's counts.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// The baseline's mean, variance and range.
    #[must_use]
    pub const fn moments(&self) -> &Moments {
        &self.moments
    }
}

/// The kept values at ranks `⌈i (n − 1) / bins⌉` (`numpy.quantile(…, method="higher")`) without
/// repetitions, where a value that fills a bin or more on its own (it is met twice) gets a bin to
/// itself: the next edge is then the least greater value that was seen, or the value once more
/// where it is the greatest. So a column that is nearly always 0 still shows how often it is not.
/// At most `2 · bins + 2` edges; none without values.
fn edges(kept: &[(f64, u64)], count: u64, bins: usize) -> Vec<f64> {
    let points = points(kept, count, bins);
    let mut edges = Vec::with_capacity(2 * bins + 2);
    for (i, &point) in points.iter().enumerate() {
        let repeated = i > 0 && points[i - 1] == point;
        if !repeated {
            edges.push(point);
        } else if points.get(i + 1) != Some(&point) {
            let above = kept.partition_point(|pair| pair.0 <= point);
            edges.push(kept.get(above).map_or(point, |pair| pair.0));
        }
    }
    // All but the last lose their repetitions; the last may stand twice, as a bin of one value.
    let last = edges.pop();
    edges.dedup();
    edges.extend(last);
    edges
}

/// The values at the ranks of the quantiles; none without values. Ranks are whole numbers, so
/// that every machine finds the same edges.
fn points(kept: &[(f64, u64)], count: u64, bins: usize) -> Vec<f64> {
    let mut points = Vec::with_capacity(bins + 1);
    let mut values = kept.iter();
    let (mut value, mut end) = (0.0, 0u64);
    for i in 0..=bins {
        let rank = (u128::from(count.saturating_sub(1)) * i as u128).div_ceil(bins as u128);
        while u128::from(end) <= rank {
            let Some((next, weight)) = values.next() else {
                return points;
            };
            value = *next;
            end += weight;
        }
        points.push(value);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], bins: usize) -> Vec<f64> {
        let mut quantiles = Quantiles::new();
        quantiles.update_many(values);
        edges(&quantiles.kept(), quantiles.count(), bins)
    }

    #[test]
    fn distinct_values_get_equal_bins() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(of(&values, 4), [0.0, 25.0, 50.0, 75.0, 100.0]);
    }

    #[test]
    fn frequent_values_get_bins_of_their_own() {
        // Nearly always zero: rain. Without its own bin for 0 one bin would hold all.
        let mut rain = vec![0.0; 95];
        rain.extend([0.01, 0.02, 0.5, 1.0, 3.0]);
        assert_eq!(of(&rain, 10), [0.0, 0.01, 3.0]);
        // Nearly always one.
        let mut flag = vec![1.0; 95];
        flag.extend([0.0; 5]);
        assert_eq!(of(&flag, 10), [0.0, 1.0, 1.0]);
        // A constant.
        assert_eq!(of(&[7.0; 9], 10), [7.0, 7.0]);
        assert_eq!(of(&[7.0], 10), [7.0, 7.0]);
        // Few values, each its own bin.
        let dice: Vec<f64> = (0..600).map(|i| f64::from(i % 6)).collect();
        assert_eq!(of(&dice, 10), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]);
        assert!(of(&[], 10).is_empty());
        assert!(of(&[f64::NAN, f64::INFINITY], 10).is_empty());
    }

    #[test]
    fn any_values_make_edges_that_a_histogram_takes() {
        let mut state = 7u32;
        for round in 0..2000u32 {
            let distinct = 1 + round % 23;
            let values: Vec<f64> = (0..1 + round % 61)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    f64::from((state >> 16) % distinct) * 0.1 - 1.0
                })
                .collect();
            let mut quantiles = Quantiles::new();
            quantiles.update_many(&values);
            for bins in [2, 3, 10] {
                let edges = edges(&quantiles.kept(), quantiles.count(), bins);
                assert!(edges.len() <= 2 * bins + 2, "{edges:?}");
                let mut histogram = Histogram::new(edges).unwrap();
                histogram.update_many(&values);
                assert_eq!((histogram.below(), histogram.above()), (0, 0));
            }
        }
    }
}
