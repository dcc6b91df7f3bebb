//! Pearson's chi-square statistic of two samples.

/// Pearson's statistic of homogeneity of the 2 × c table of counts, without a correction, and its
/// degrees of freedom: `scipy.stats.chi2_contingency(table, correction=False)`. Cells that are empty on
/// both sides are left out. It grows with the number of rows. `None` when either side is empty.
#[must_use]
pub fn chi_square(baseline: &[u64], live: &[u64]) -> Option<(f64, u64)> {
    let (n, m) = (baseline.iter().sum::<u64>(), live.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return None;
    }
    let (n, m) = (n as f64, m as f64);
    let (mut statistic, mut cells) = (0.0, 0u64);
    for (&a, &b) in baseline.iter().zip(live).filter(|(a, b)| **a + **b > 0) {
        let (a, b) = (a as f64, b as f64);
        let share = (a + b) / (n + m);
        let (due, also) = (n * share, m * share);
        statistic += (a - due).powi(2) / due + (b - also).powi(2) / also;
        cells += 1;
    }
    Some((statistic, cells - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_computed_elsewhere() {
        // SciPy 1: chi2_contingency([[10, 20, 30, 40], [80, 60, 41, 20]], correction=False).
        let (found, freedom) = chi_square(&[10, 20, 0, 30, 40], &[80, 60, 0, 41, 20]).unwrap();
        assert!((found - 55.132_478_842_096_25).abs() < 1e-9, "{found}");
        assert_eq!(freedom, 3);
        assert_eq!(chi_square(&[5], &[7]), Some((0.0, 0)));
        assert_eq!(chi_square(&[0], &[1]), None);
    }
}
