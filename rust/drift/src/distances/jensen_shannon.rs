//! The Jensen–Shannon distance.

use super::shares::shares;

/// The Jensen–Shannon *distance* in base 2: the square root of
/// `½ Σ p log₂(p / r) + ½ Σ q log₂(q / r)` with `r = (p + q) / 2`, over raw shares, where
/// `0 log 0 = 0`. Between 0 and 1 (no cell in common). `None` when either side is empty.
#[must_use]
pub fn jensen_shannon(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let term = |share: f64, middle: f64| {
        if share > 0.0 {
            share * (share / middle).log2()
        } else {
            0.0
        }
    };
    let sum: f64 = shares(baseline, live)?
        .map(|(p, q)| {
            let middle = f64::midpoint(p, q);
            term(p, middle) + term(q, middle)
        })
        .sum();
    // Rounding can leave a sum that should be 0 a little below it.
    Some((0.5 * sum).clamp(0.0, 1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_computed_elsewhere() {
        // SciPy 1 (scipy.spatial.distance.jensenshannon, base 2).
        let near = |found: Option<f64>, due: f64| {
            let found = found.unwrap();
            assert!((found - due).abs() < 1e-12, "{found} {due}");
        };
        near(
            jensen_shannon(&[10, 20, 30, 40], &[40, 30, 20, 10]),
            0.391_868_160_647_155_1,
        );
        near(
            jensen_shannon(&[500, 500, 0, 0], &[300, 0, 200, 0]),
            0.673_263_235_063_131_8,
        );
        near(jensen_shannon(&[1, 0], &[0, 7]), 1.0);
        assert_eq!(jensen_shannon(&[], &[]), None);
    }
}
