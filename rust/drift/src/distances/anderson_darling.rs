//! The Anderson–Darling statistic of two samples.

/// Up to this many rows the constants of the variance are summed exactly.
const SUMMED: u64 = 1_000_000;

/// The two-sample Anderson–Darling statistic over cells in rising order, whose rows count as ties (Scholz
/// and Stephens 1987, "K-sample Anderson–Darling tests", equation 7, standardised): over
/// [`Pooled`](super::Pooled) values `scipy.stats.anderson_ksamp([baseline, live]).statistic`. It weighs the tails more
/// than Kolmogorov–Smirnov does. Without drift its mean is 0 and its standard deviation 1, however
/// many rows there are. `None` when either side is empty, with fewer than two cells in use, or with fewer
/// than four rows.
#[must_use]
pub fn anderson_darling(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    let used = baseline.iter().zip(live).filter(|(a, b)| **a + **b > 0);
    if n == 0 || m == 0 || n + m < 4 || used.count() < 2 {
        return None;
    }
    let (first, second) = (n as f64, m as f64);
    let all = first + second;
    let (mut before, mut below) = (0.0, 0.0);
    let mut sum = 0.0;
    for (&a, &b) in baseline.iter().zip(live).filter(|(a, b)| **a + **b > 0) {
        let (tied, mine) = ((a + b) as f64, a as f64);
        let pooled = before + tied / 2.0;
        // Over two samples the squares are equal, so one of them stands for both.
        let apart = all * (below + mine / 2.0) - pooled * first;
        let weight = pooled * (all - pooled) - all * tied / 4.0;
        sum += tied / all * apart * apart / weight;
        before += tied;
        below += mine;
    }
    let statistic = sum * (1.0 / first + 1.0 / second) * (all - 1.0) / all;
    Some((statistic - 1.0) / variance(n, m).sqrt())
}

/// The variance of the statistic without drift (equation 4, for two samples).
fn variance(n: u64, m: u64) -> f64 {
    let all = n + m;
    let size = all as f64;
    let inverse = 1.0 / n as f64 + 1.0 / m as f64;
    let (h, g) = constants(all);
    let a = (4.0 * g - 6.0) + (10.0 - 6.0 * g) * inverse;
    let b = (2.0 * g - 4.0) * 4.0 + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h
        + 4.0 * g
        - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * 4.0
        + (4.0 * h - 4.0 * g + 6.0) * 2.0
        + (2.0 * h - 6.0) * inverse
        + 4.0 * h;
    let d = (2.0 * h + 6.0) * 4.0 - 8.0 * h;
    (((a * size + b) * size + c) * size + d) / ((size - 1.0) * (size - 2.0) * (size - 3.0))
}

/// `h = Σ 1/i` and `g = Σ Σ 1 / ((N − i) j)` over `i < j < N`.
fn constants(all: u64) -> (f64, f64) {
    if all > SUMMED {
        // Euler and Maclaurin for h; g is within (ln N + 1) / N of its limit.
        let n = (all - 1) as f64;
        let h = n.ln() + 0.577_215_664_901_532_9 + 0.5 / n - 1.0 / (12.0 * n * n);
        return (h, std::f64::consts::PI.powi(2) / 6.0);
    }
    let (mut h, mut g) = (0.0, 0.0);
    for i in 2..all {
        h += 1.0 / (all + 1 - i) as f64;
        g += h / i as f64;
    }
    (h + 1.0, g)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distances::Pooled;

    #[test]
    fn figures_computed_elsewhere() {
        // scipy.stats.anderson_ksamp(…, midrank=True)
        let pooled = Pooled::of_values(&[1.0, 2.0, 2.0, 3.5, 7.0], &[2.0, 3.0, 3.5, 8.0, 9.0, 9.0]);
        let found = anderson_darling(&pooled.baseline, &pooled.live).unwrap();
        assert!((found - 1.270_264_559_015_399).abs() < 1e-12, "{found}");
        assert_eq!(anderson_darling(&[1, 2], &[0, 0]), None);
        assert_eq!(anderson_darling(&[5], &[5]), None);
    }

    #[test]
    fn constants_meet_their_limits() {
        let (exact, near) = (constants(SUMMED), constants(SUMMED + 1));
        assert!((exact.0 - near.0).abs() < 1e-5 && (exact.1 - near.1).abs() < 1e-4);
    }
}
