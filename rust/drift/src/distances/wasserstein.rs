//! The Wasserstein distance of order 1.

use super::shares::shares;

/// The Wasserstein-1 (earth mover's) distance of counts at rising `values`: how far rows have to be
/// moved on average, in units of the values. Over [`Pooled`](super::Pooled) values it is
/// `scipy.stats.wasserstein_distance`. Infinite where the shares of an infinite value differ. `None`
/// when either side is empty.
#[must_use]
pub fn wasserstein(values: &[f64], baseline: &[u64], live: &[u64]) -> Option<f64> {
    let mut apart = 0.0;
    let mut sum = 0.0;
    for (at, (p, q)) in shares(baseline, live)?.enumerate() {
        apart += p - q;
        let step = match (values.get(at), values.get(at + 1)) {
            (Some(from), Some(to)) => to - from,
            _ => break,
        };
        // What rounding leaves is no reason for an infinite distance.
        if step.is_finite() || apart.abs() > 1e-12 {
            sum += step * apart.abs();
        }
    }
    Some(sum)
}

/// Between which two figures the distance of the raw values lies when only counts of bins are known.
/// `edges` are the ends of all cells, one more than there are cells, the least and the greatest value
/// seen at the ends. `None` when either side is empty.
#[must_use]
pub fn wasserstein_bounds(edges: &[f64], baseline: &[u64], live: &[u64]) -> Option<(f64, f64)> {
    let (mut apart, mut least, mut most) = (0.0f64, 0.0, 0.0);
    for (at, (p, q)) in shares(baseline, live)?.enumerate() {
        let width = match (edges.get(at), edges.get(at + 1)) {
            (Some(from), Some(to)) => to - from,
            _ => break,
        };
        // Inside of the bin the difference lies between these two.
        let (low, high) = (apart - q, apart + p);
        most += width * low.abs().max(high.abs());
        least += width * low.max(-high).max(0.0);
        apart += p - q;
    }
    Some((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinite_values_matter_where_shares_differ() {
        let values = [f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY];
        let equal = wasserstein(&values, &[1, 2, 1, 3], &[1, 1, 2, 3]).unwrap();
        assert!((equal - 1.0 / 7.0).abs() < 1e-12, "{equal}");
        let more = wasserstein(&values, &[1, 2, 1, 3], &[2, 2, 1, 2]).unwrap();
        assert!(more.is_infinite());
        assert_eq!(wasserstein(&values, &[0; 4], &[1; 4]), None);
    }
}
