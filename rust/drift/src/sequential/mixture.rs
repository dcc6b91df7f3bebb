//! Sums of likelihoods, in logarithms.

use libm::lgamma;

/// `ln Σ exp(terms)`; −∞ of nothing.
pub(crate) fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
}

/// `ln` of the greatest likelihood that any distribution gives a sequence with these counts.
pub(crate) fn log_best(counts: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    log_dot(counts, |_, count| count / total)
}

/// `Σ counts · ln share`, where a count of zero adds nothing.
pub(crate) fn log_dot(counts: &[f64], share: impl Fn(usize, f64) -> f64) -> f64 {
    let terms = counts.iter().enumerate();
    terms
        .map(|(cell, &count)| {
            if count > 0.0 {
                count * share(cell, count).ln()
            } else {
                0.0
            }
        })
        .sum()
}

/// `ln` of the likelihood of a sequence with these counts, averaged over a Dirichlet prior with
/// these parameters (all positive).
pub(crate) fn log_dirichlet(prior: impl IntoIterator<Item = f64>, counts: &[f64]) -> f64 {
    let (mut sum, mut weight, mut rows) = (0.0, 0.0, 0.0);
    for (alpha, &count) in prior.into_iter().zip(counts) {
        weight += alpha;
        rows += count;
        if count > 0.0 {
            sum += lgamma(alpha + count) - lgamma(alpha);
        }
    }
    sum + lgamma(weight) - lgamma(weight + rows)
}

/// The same for two cells with the prior Beta(½, ½) (Krichevsky and Trofimov 1981).
pub(crate) fn log_beta(yes: f64, no: f64) -> f64 {
    log_dirichlet([0.5, 0.5], &[yes, no])
}

/// The least point of `[low, high]` at which a falling function is below a level, within rounding.
pub(crate) fn falls_below(
    (mut low, mut high): (f64, f64),
    level: f64,
    falling: impl Fn(f64) -> f64,
) -> f64 {
    if falling(low) < level {
        return low;
    }
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if falling(middle) < level {
            high = middle;
        } else {
            low = middle;
        }
    }
    // The end at which the level is still reached: rounding widens an interval, never narrows it.
    low
}

/// Halvings of an interval: below a thousandth of a millionth of its length.
const BISECTIONS: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_huge_and_of_no_terms() {
        let sum = log_sum_exp([1000.0, 1000.0].into_iter());
        assert!((sum - 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
        let nothing = [f64::NEG_INFINITY; 3];
        assert_eq!(log_sum_exp(nothing.into_iter()), f64::NEG_INFINITY);
    }

    #[test]
    fn a_mixture_is_a_distribution_over_sequences() {
        // All sequences of three rows over three cells: their likelihoods add up to one.
        let mut sum = 0.0;
        for sequence in 0..27 {
            let mut counts = [0.0; 3];
            for place in [1, 3, 9] {
                counts[sequence / place % 3] += 1.0;
            }
            sum += log_dirichlet([0.5, 2.0, 0.1], &counts).exp();
        }
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert!((log_beta(1.0, 0.0).exp() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_level_is_met_from_the_outside() {
        let found = falls_below((0.0, 4.0), 2.0, |x| 4.0 - x);
        assert!(found <= 2.0 && found > 2.0 - 1e-8);
        assert_eq!(falls_below((3.0, 4.0), 2.0, |x| 4.0 - x), 3.0);
        assert!(falls_below((0.0, 1.0), 2.0, |x| 4.0 - x) > 1.0 - 1e-8);
    }
}
