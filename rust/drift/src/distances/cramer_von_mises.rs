//! The Cramér–von Mises statistic of two samples.

/// The two-sample Cramér–von Mises statistic `T` (Anderson 1962) over cells in rising order, whose rows count
/// as ties with mean ranks: over [`Pooled`](super::Pooled) values `scipy.stats.cramervonmises_2samp(…).statistic`.
/// Its mean without drift is about 1/6, however many rows there are. `None` when either side is empty.
#[must_use]
pub fn cramer_von_mises(baseline: &[u64], live: &[u64]) -> Option<f64> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return None;
    }
    let (n, m) = (n as f64, m as f64);
    let (mut before_a, mut before_b) = (0.0, 0.0);
    let (mut ours, mut theirs) = (0.0, 0.0);
    for (&a, &b) in baseline.iter().zip(live) {
        let (a, b) = (a as f64, b as f64);
        let rank = before_a + before_b + (a + b + 1.0) / 2.0;
        // Σ (rank − i)² over the positions i of the cell's rows in their own sample.
        let squares = |count: f64, before: f64| {
            let middle = before + (count + 1.0) / 2.0;
            count * (rank - middle).powi(2) + count * (count * count - 1.0) / 12.0
        };
        ours += squares(a, before_a);
        theirs += squares(b, before_b);
        before_a += a;
        before_b += b;
    }
    let (product, sum) = (n * m, n + m);
    let u = n * ours + m * theirs;
    Some(u / (product * sum) - (4.0 * product - 1.0) / (6.0 * sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distances::Pooled;

    #[test]
    fn figures_computed_elsewhere() {
        // scipy.stats.cramervonmises_2samp
        let pooled = Pooled::of_values(&[1.0, 2.0, 2.0, 3.5, 7.0], &[2.0, 3.0, 3.5, 8.0, 9.0, 9.0]);
        let found = cramer_von_mises(&pooled.baseline, &pooled.live).unwrap();
        assert!((found - 0.275).abs() < 1e-12, "{found}");
        assert_eq!(cramer_von_mises(&[1], &[0]), None);
    }
}
