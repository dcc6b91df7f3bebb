//! Which of many tests raise an alarm, so that few of the alarms are false.

/// The e-Benjamini–Hochberg procedure (Wang and Ramdas 2022): the positions of the tests that are
/// called discoveries. Of them, a share of at most `alpha` is false on average, however the tests
/// depend on each other. Where nothing at all has changed, the chance that anything is ever called
/// is at most `alpha` too: the mean of the e-values is then an e-value itself.
///
/// # Arguments
/// `log_e`: natural logarithms of e-values, one a test.
#[must_use]
pub fn discoveries(log_e: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..log_e.len()).collect();
    order.sort_by(|&x, &y| log_e[y].total_cmp(&log_e[x]));
    let reached =
        |(rank, &place): (usize, &usize)| log_e[place] >= threshold(log_e.len(), rank + 1, alpha);
    let count = order.iter().enumerate().rposition(reached);
    order.truncate(count.map_or(0, |last| last + 1));
    order.sort_unstable();
    order
}

/// The logarithm that the `rank`-th greatest of `tests` e-values has to reach.
#[must_use]
pub fn threshold(tests: usize, rank: usize, alpha: f64) -> f64 {
    (tests as f64 / (rank.max(1) as f64 * alpha)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_evidence_elsewhere_lowers_the_bar() {
        let ln = |e: f64| e.ln();
        // One of four has to reach 4 / 0.05 = 80, both of two 40.
        assert_eq!(discoveries(&[ln(79.0), 0.0, 0.0, 0.0], 0.05), [0; 0]);
        assert_eq!(discoveries(&[ln(81.0), 0.0, 0.0, 0.0], 0.05), [0]);
        assert_eq!(discoveries(&[ln(41.0), 0.0, ln(79.0), 0.0], 0.05), [0, 2]);
        // The second alone would not do, nor does the first need it.
        assert_eq!(discoveries(&[ln(81.0), ln(39.0)], 0.025), [0]);
        assert_eq!(discoveries(&[], 0.05), [0; 0]);
        assert_eq!(discoveries(&[f64::NEG_INFINITY; 3], 0.05), [0; 0]);
    }
}
