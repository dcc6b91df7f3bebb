//! What distances are without any drift: the level that sampling noise alone would give.

use super::psi::psi_noise;
use super::shares::shares;

/// The Jensen–Shannon distance (base 2) to be expected when nothing has drifted: the square root of
/// `(c − 1)(1/n + 1/m) / (8 ln 2)` for `c` cells that are not empty on both sides and `n` and `m`
/// rows, since the divergence is an eighth of the PSI where both are small (in natural logarithms).
/// `None` when either side is empty.
#[must_use]
pub fn jensen_shannon_noise(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let divergence = psi_noise(baseline, live)? / (8.0 * std::f64::consts::LN_2);
    Some(divergence.min(1.0).sqrt())
}

/// The total variation distance to be expected when nothing has drifted: half of the sum over the cells
/// of `√(2 / π · r (1 − r) (1/n + 1/m))` for pooled shares `r`, the mean of a normal deviation. `None` when
/// either side is empty.
#[must_use]
pub fn total_variation_noise(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let (n, m) = totals(baseline, live);
    let deviation = |(p, q): (f64, f64)| {
        let share = (p * n + q * m) / (n + m);
        (share * (1.0 - share) * (1.0 / n + 1.0 / m))
            .max(0.0)
            .sqrt()
    };
    let sum: f64 = shares(baseline, live)?.map(deviation).sum();
    Some((0.5 * std::f64::consts::FRAC_2_PI.sqrt() * sum).min(1.0))
}

/// The Kolmogorov–Smirnov distance to be expected when nothing has drifted: `√(π / 2) ln 2 √(1/n + 1/m)`,
/// the mean of its limit for continuous values; less over few bins. `None` when either side is empty.
#[must_use]
pub fn kolmogorov_smirnov_noise(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let (n, m) = totals(baseline, live);
    let mean = std::f64::consts::FRAC_PI_2.sqrt() * std::f64::consts::LN_2;
    (n > 0.0 && m > 0.0).then(|| (mean * (1.0 / n + 1.0 / m).sqrt()).min(1.0))
}

fn totals(baseline: &[u64], live: &[u64]) -> (f64, f64) {
    let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    (sum(baseline), sum(live))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jensen_shannon, kolmogorov_smirnov, total_variation};

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
        let (mut variation, mut greatest) = (0.0, 0.0);
        for _ in 0..400 {
            let (baseline, live) = (draw(4000), draw(500));
            found += jensen_shannon(&baseline, &live).unwrap().powi(2);
            due += jensen_shannon_noise(&baseline, &live).unwrap().powi(2);
            variation += total_variation(&baseline, &live).unwrap()
                / total_variation_noise(&baseline, &live).unwrap();
            greatest += kolmogorov_smirnov(&baseline, &live).unwrap()
                / kolmogorov_smirnov_noise(&baseline, &live).unwrap();
        }
        assert!((variation / 400.0 - 1.0).abs() < 0.05, "{variation}");
        // Ten bins see less than all values do.
        assert!((0.75..1.0).contains(&(greatest / 400.0)), "{greatest}");
        assert!((found / due - 1.0).abs() < 0.1, "{}", found / due);
        assert_eq!(jensen_shannon_noise(&[1], &[0]), None);
        assert_eq!(total_variation_noise(&[1], &[0]), None);
        assert_eq!(kolmogorov_smirnov_noise(&[1], &[0]), None);
        assert_eq!(
            jensen_shannon_noise(&[1, 0], &[0, 1]),
            Some((2.0f64 / (8.0 * 2f64.ln())).sqrt())
        );
    }
}
