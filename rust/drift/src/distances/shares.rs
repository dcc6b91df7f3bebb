//! Counts over the same cells as shares.

/// Pairs of shares (baseline, live); `None` when either side is empty.
pub(super) fn shares(baseline: &[u64], live: &[u64]) -> Option<impl Iterator<Item = (f64, f64)>> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    (n > 0 && m > 0).then(|| {
        baseline
            .iter()
            .zip(live)
            .map(move |(&p, &q)| (p as f64 / n as f64, q as f64 / m as f64))
    })
}
