//! The population stability index.

use super::shares::shares;

/// The least share that [`psi`] computes with. Without a floor one empty cell would make it
/// infinite; 10⁻⁴ is what the field uses.
pub const FLOOR: f64 = 1e-4;

/// The population stability index `Σ (q − p) ln(q / p)` over all cells, where `p` and `q` are the
/// shares of baseline and live, each raised to [`FLOOR`] where it is less, and not rescaled after.
/// `None` when either side is empty. A cell that is empty on both sides adds nothing.
#[must_use]
pub fn psi(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let sum = shares(baseline, live)?
        .map(|(p, q)| (p.max(FLOOR), q.max(FLOOR)))
        .map(|(p, q)| (q - p) * (q / p).ln())
        .sum();
    Some(sum)
}

/// The PSI to be expected when nothing has drifted: `(c − 1)(1/n + 1/m)` for `c` cells that are
/// not empty on both sides and `n` and `m` rows, the mean of the distribution that PSI then has
/// approximately (Yurdakul 2018). `None` when either side is empty.
#[must_use]
pub fn psi_noise(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    let cells = baseline.iter().zip(live).filter(|(p, q)| **p + **q > 0);
    (n > 0 && m > 0)
        .then(|| cells.count().saturating_sub(1) as f64 * (1.0 / n as f64 + 1.0 / m as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_computed_elsewhere() {
        // NumPy 2.
        for (p, q, due) in [
            ([10, 20, 30, 40], [40, 30, 20, 10], 0.912_869_638_293_567_3),
            ([500, 500, 0, 0], [300, 0, 200, 0], 7.592_767_483_145_174),
        ] {
            let found = psi(&p, &q).unwrap();
            assert!((found - due).abs() < 1e-12, "{found} {due}");
        }
    }

    #[test]
    fn noise_is_the_mean_psi_without_drift() {
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
            found += psi(&baseline, &live).unwrap();
            due += psi_noise(&baseline, &live).unwrap();
        }
        assert!((found / due - 1.0).abs() < 0.1, "{}", found / due);
    }

    #[test]
    fn nothing_has_no_distance() {
        assert_eq!(psi(&[1, 2], &[0, 0]), None);
        assert_eq!(psi_noise(&[0, 0], &[1, 0]), None);
    }
}
