//! What distances are without any drift: the level that sampling noise alone would give.

use super::psi::psi_noise;

/// The Jensen–Shannon distance (base 2) to be expected when nothing has drifted: the square root of
/// `(c − 1)(1/n + 1/m) / (8 ln 2)` for `c` cells that are not empty on both sides and `n` and `m`
/// rows, since the divergence is an eighth of the PSI where both are small (in natural logarithms).
/// `None` when either side is empty.
#[must_use]
pub fn jensen_shannon_noise(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let divergence = psi_noise(baseline, live)? / (8.0 * std::f64::consts::LN_2);
    Some(divergence.min(1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jensen_shannon;

    #[test]
    fn noise_is_the_distance_without_drift() {
        // Two samples of one distribution, many times over; draws from a fixed congruence.
        let mut state = 1u64;
        let mut draw = |rows: usize| {
            let mut counts = [0u64; 10];
            for _ in 0..rows {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                counts[((state >> 33) % 10) as usize] += 1;
            }
            counts
        };
        let (mut found, mut due) = (0.0, 0.0);
        for _ in 0..400 {
            let (baseline, live) = (draw(4000), draw(500));
            found += jensen_shannon(&baseline, &live).unwrap().powi(2);
            due += jensen_shannon_noise(&baseline, &live).unwrap().powi(2);
        }
        assert!((found / due - 1.0).abs() < 0.1, "{}", found / due);
        assert_eq!(jensen_shannon_noise(&[1], &[0]), None);
        assert_eq!(
            jensen_shannon_noise(&[1, 0], &[0, 1]),
            Some((2.0f64 / (8.0 * 2f64.ln())).sqrt())
        );
    }
}
