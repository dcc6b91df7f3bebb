//! The total variation distance.

use super::shares::shares;

/// The total variation distance `½ Σ |p − q|` over raw shares: the greatest difference in probability
/// of any set of cells, and the share of rows that would have to change cells. `None` when either side
/// is empty.
#[must_use]
pub fn total_variation(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let sum: f64 = shares(baseline, live)?.map(|(p, q)| (p - q).abs()).sum();
    Some((0.5 * sum).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_computed_by_hand() {
        let found = total_variation(&[10, 20, 30, 40], &[40, 30, 20, 10]).unwrap();
        assert!((found - 0.4).abs() < 1e-12, "{found}");
        assert!((total_variation(&[1, 0], &[0, 7]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(total_variation(&[0], &[1]), None);
    }
}
