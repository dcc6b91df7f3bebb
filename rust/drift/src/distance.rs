//! How far two sets of counts over the same cells are apart.
//!
//! Neither figure is a test: both grow when windows shrink, with no drift at all. [`psi_noise`]
//! says how much of a PSI chance alone explains.

/// The least share that [`psi`] computes with. Without a floor one empty cell would make it
/// infinite; 10⁻⁴ is what the field uses.
pub const FLOOR: f64 = 1e-4;

/// Pairs of shares (baseline, live); `None` when either side is empty.
fn shares(baseline: &[u64], live: &[u64]) -> Option<impl Iterator<Item = (f64, f64)>> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    (n > 0 && m > 0).then(|| {
        baseline
            .iter()
            .zip(live)
            .map(move |(&p, &q)| (p as f64 / n as f64, q as f64 / m as f64))
    })
}

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
    use proptest::prelude::*;

    fn near(found: Option<f64>, due: f64) {
        let found = found.unwrap();
        assert!((found - due).abs() < 1e-12, "{found} {due}");
    }

    #[test]
    fn figures_computed_elsewhere() {
        // NumPy 2 and SciPy 1 (scipy.spatial.distance.jensenshannon, base 2).
        near(
            psi(&[10, 20, 30, 40], &[40, 30, 20, 10]),
            0.912_869_638_293_567_3,
        );
        near(
            jensen_shannon(&[10, 20, 30, 40], &[40, 30, 20, 10]),
            0.391_868_160_647_155_1,
        );
        near(
            psi(&[500, 500, 0, 0], &[300, 0, 200, 0]),
            7.592_767_483_145_174,
        );
        near(
            jensen_shannon(&[500, 500, 0, 0], &[300, 0, 200, 0]),
            0.673_263_235_063_131_8,
        );
        near(jensen_shannon(&[1, 0], &[0, 7]), 1.0);
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
        assert_eq!(jensen_shannon(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn distances_are_distances(pairs in prop::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
            let (p, q): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            prop_assume!(p.iter().sum::<u64>() > 0 && q.iter().sum::<u64>() > 0);
            for distance in [psi, jensen_shannon] {
                prop_assert!(distance(&p, &p).unwrap().abs() < 1e-7);
                let (there, back) = (distance(&p, &q).unwrap(), distance(&q, &p).unwrap());
                prop_assert!(there >= 0.0 && (there - back).abs() < 1e-9);
            }
            prop_assert!(jensen_shannon(&p, &q).unwrap() <= 1.0);
        }
    }
}
