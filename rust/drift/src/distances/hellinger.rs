//! The Hellinger distance.

use super::shares::shares;

/// The Hellinger distance `√(½ Σ (√p − √q)²)` over raw shares, between 0 (equal) and 1 (no cell in
/// common). `None` when either side is empty.
#[must_use]
pub fn hellinger(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let sum: f64 = shares(baseline, live)?
        .map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2))
        .sum();
    Some((0.5 * sum).min(1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_computed_elsewhere() {
        // NumPy 2: np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2).
        let found = hellinger(&[10, 20, 30, 40], &[40, 30, 20, 10]).unwrap();
        assert!((found - 0.331_816_291_708_777_3).abs() < 1e-12, "{found}");
        assert!((hellinger(&[1, 0], &[0, 7]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(hellinger(&[0], &[1]), None);
    }
}
