//! The Kolmogorov–Smirnov distance.

use super::shares::shares;

/// The Kolmogorov–Smirnov distance: the greatest difference between the cumulated shares of cells in
/// rising order. Over [`Pooled`](super::Pooled) values it is `scipy.stats.ks_2samp(…).statistic`; over bins it is
/// at most that of the raw values, see [`kolmogorov_smirnov_bounds`]. `None` when either side is empty.
#[must_use]
pub fn kolmogorov_smirnov(baseline: &[u64], live: &[u64]) -> Option<f64> {
    kolmogorov_smirnov_bounds(baseline, live).map(|(least, _)| least)
}

/// Between which two figures the distance of the raw values lies when only counts of bins are known:
/// inside of a bin the difference can move by the lesser of its two shares beyond what is seen at both
/// ends. `None` when either side is empty.
#[must_use]
pub fn kolmogorov_smirnov_bounds(baseline: &[u64], live: &[u64]) -> Option<(f64, f64)> {
    let (mut f, mut g, mut least, mut most) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (p, q) in shares(baseline, live)? {
        // Within the bin one side may rise first, as far as its share goes.
        most = most.max((f + p - g).abs()).max((f - g - q).abs());
        f += p;
        g += q;
        least = least.max((f - g).abs());
    }
    Some((least, most.max(least).min(1.0)))
}

/// The chance that two samples of one continuous distribution, of `n` and `m` values, lie as far apart:
/// Kolmogorov's limit, `scipy.stats.kstwobign.sf(√(nm / (n + m)) d)`. Too great for small samples and
/// where values repeat, so on the safe side. 1 when a sample is empty.
#[must_use]
pub fn kolmogorov_p(distance: f64, n: u64, m: u64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let x = (n * m / (n + m)).sqrt() * distance;
    if !x.is_finite() || x < 0.2 {
        // The series needs many terms where the answer is 1 to twelve digits.
        return 1.0;
    }
    let mut sum = 0.0;
    let mut sign = 1.0;
    for k in 1..=100 {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += sign * term;
        sign = -sign;
        if term < 1e-17 * sum {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_scipys() {
        for (distance, n, m, due) in [
            (0.05, 1000, 1000, 0.164_079_197_726_652_1),
            (0.3, 40, 60, 0.026_599_704_506_935_214),
            (0.02, 10_000, 10_000, 0.036_631_052_707_119_35),
            (0.5, 100, 100, 2.777_588_772_992_794_2e-11),
        ] {
            let found = kolmogorov_p(distance, n, m);
            assert!((found / due - 1.0).abs() < 1e-9, "{distance} {found} {due}");
        }
        assert!((kolmogorov_p(0.0, 10, 10) - 1.0).abs() < 1e-12);
        assert!((kolmogorov_p(0.5, 0, 10) - 1.0).abs() < 1e-12);
    }
}
