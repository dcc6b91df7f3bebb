//! How far the distributions of two growing streams over the same cells are apart.

use super::difference::Difference;
use super::interval::Interval;
use super::mixture::{falls_below, log_sum_exp};
use super::proportion::Proportion;
use super::stream::Stream;

/// The largest difference, over single cells and over everything up to a cell, between the shares of
/// two streams: for cells in the order of their values the Kolmogorov–Smirnov distance, and never below
/// the difference of any one value's share.
///
/// Both streams may grow, which [`CellsTest`](super::CellsTest) does not allow of its baseline. Each cell and each
/// head of the cells is a [`Difference`] of proportions. "No further apart than `d`" bounds all of them,
/// so the average of their e-values is one; "at least `d` apart" is true of one of them, so the least is
/// one. The price of many cells is a logarithm of their number.
#[derive(Clone, Debug, PartialEq)]
pub struct CellsDifference {
    sets: Vec<Difference<Proportion>>,
    rows: u64,
}

impl CellsDifference {
    /// Of the counts of two streams over the same cells; cells that one side lacks count as 0 there.
    #[must_use]
    pub fn new(base: &[u64], live: &[u64]) -> Self {
        let (n, m) = (base.iter().sum::<u64>(), live.iter().sum::<u64>());
        let of = |yes: u64, count: u64| {
            let mut share = Proportion::new();
            share.update(yes, count);
            share
        };
        let cells = base.len().max(live.len());
        let count = |counts: &[u64], cell: usize| counts.get(cell).copied().unwrap_or(0);
        let (mut sets, mut old, mut new) = (Vec::new(), 0, 0);
        for cell in 0..cells {
            let (a, b) = (count(base, cell), count(live, cell));
            // What is empty on both sides says nothing.
            if a + b > 0 {
                sets.push(Difference::new(of(a, n), of(b, m)));
            }
            (old, new) = (old + a, new + b);
            let (some, all) = (old + new > 0, old + new == n + m);
            if a + b > 0 && cell > 0 && some && !all && (old, new) != (a, b) {
                sets.push(Difference::new(of(old, n), of(new, m)));
            }
        }
        Self { sets, rows: n + m }
    }
}

impl Stream for CellsDifference {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn estimate(&self) -> Option<f64> {
        let apart = self.sets.iter().map(|set| set.estimate().map(f64::abs));
        apart.fold(None, |most, next| Some(next?.max(most.unwrap_or(0.0))))
    }

    fn bounds(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn log_e_above(&self, bound: f64, factor: f64) -> f64 {
        if self.sets.is_empty() {
            return 0.0;
        }
        let terms: Vec<f64> = self
            .sets
            .iter()
            .flat_map(|set| {
                [
                    set.log_e_above(bound, factor),
                    set.log_e_below(-bound, factor),
                ]
            })
            .collect();
        log_sum_exp(terms.iter().copied()) - (terms.len() as f64).ln()
    }

    fn log_e_below(&self, bound: f64, factor: f64) -> f64 {
        if self.sets.is_empty() {
            return 0.0;
        }
        self.sets
            .iter()
            .map(|set| {
                let (below, above) = (
                    set.log_e_below(bound, factor),
                    set.log_e_above(-bound, factor),
                );
                below.min(above)
            })
            .fold(f64::INFINITY, f64::min)
    }

    fn interval(&self, level: f64) -> Interval {
        let Some(found) = self.estimate() else {
            return Interval {
                lower: 0.0,
                upper: 1.0,
            };
        };
        Interval {
            lower: falls_below((0.0, found), level, |x| self.log_e_above(x, 1.0)),
            upper: 1.0
                - falls_below((0.0, 1.0 - found), level, |x| {
                    self.log_e_below(1.0 - x, 1.0)
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way in which `rows` rows fall into three cells.
    fn outcomes(rows: u64) -> Vec<[u64; 3]> {
        let mut all = Vec::new();
        for x in 0..=rows {
            for y in 0..=rows - x {
                all.push([x, y, rows - x - y]);
            }
        }
        all
    }

    fn chance(counts: &[u64; 3], shares: &[f64; 3]) -> f64 {
        let factorial = |n: u64| (1..=n).map(|i| i as f64).product::<f64>();
        let all = factorial(counts.iter().sum());
        let cells = counts.iter().zip(shares);
        cells.fold(all, |product, (&n, &p)| {
            product * p.powi(n as i32) / factorial(n)
        })
    }

    #[test]
    fn the_mean_is_at_most_one_wherever_the_hypothesis_holds() {
        // Exactly, over every outcome of both samples: within the bound, and beyond it.
        let pairs = [
            ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
            ([0.2, 0.3, 0.5], [0.3, 0.3, 0.4]),
            ([0.05, 0.05, 0.9], [0.0, 0.2, 0.8]),
            ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        ];
        for (p, q) in pairs {
            let head = |shares: &[f64; 3], cells: usize| shares[..cells].iter().sum::<f64>();
            let apart = (0..3)
                .map(|cell| f64::abs(p[cell] - q[cell]))
                .chain([f64::abs(head(&p, 2) - head(&q, 2))])
                .fold(0.0f64, f64::max);
            for (n, m) in [(1, 7), (6, 6), (12, 4)] {
                let (mut within, mut beyond) = (0.0, 0.0);
                for a in outcomes(n) {
                    for b in outcomes(m) {
                        let both = chance(&a, &p) * chance(&b, &q);
                        let test = CellsDifference::new(&a, &b);
                        within += both * test.log_e_above(apart + 1e-9, 1.0).exp();
                        beyond += both * test.log_e_below(apart - 1e-9, 1.0).exp();
                    }
                }
                assert!(within > 0.0 && within <= 1.0, "{within} at {p:?} {q:?}");
                assert!(beyond > 0.0 && beyond <= 1.0, "{beyond} at {p:?} {q:?}");
            }
        }
    }

    #[test]
    fn evidence_either_way_comes_with_rows() {
        // A tenth of the rows has moved from the first cell to the last.
        let at = |rows: u64| {
            let base = [rows, rows, rows, rows];
            CellsDifference::new(&base, &[rows * 3 / 20, rows / 4, rows / 4, rows * 7 / 20])
        };
        let level = 20f64.ln();
        assert!(at(100).log_e_above(0.05, 1.0) < level);
        assert!(at(20_000).log_e_above(0.05, 1.0) > level);
        assert!(at(100).log_e_below(0.15, 1.0) < level);
        assert!(at(20_000).log_e_below(0.15, 1.0) > level);
        for rows in [100, 1_000, 20_000] {
            let interval = at(rows).interval(level);
            assert!(
                interval.lower <= 0.1 && interval.upper >= 0.1,
                "{interval:?}"
            );
        }
        let wide = at(1_000).rows_to_go(super::super::Harmless::AtMost(0.05), level);
        assert!(wide.is_some_and(|rows| rows > 0));
    }

    #[test]
    fn no_rows_say_nothing() {
        for counts in [&[][..], &[0, 0, 0]] {
            let test = CellsDifference::new(counts, counts);
            assert_eq!(test.estimate(), None);
            assert_eq!(
                (test.log_e_above(0.1, 1.0), test.log_e_below(0.1, 1.0)),
                (0.0, 0.0)
            );
            let interval = test.interval(3.0);
            assert_eq!((interval.lower, interval.upper), (0.0, 1.0));
        }
        assert!(CellsDifference::new(&[5, 5], &[0, 0]).log_e_above(0.1, 1.0) <= 0.0);
    }

    proptest! {
        #[test]
        fn the_estimate_is_the_largest_difference_and_the_interval_holds_it(
            counts in prop::collection::vec((0u64..200, 0u64..200), 2..8),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = counts.into_iter().unzip();
            let (n, m) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
            prop_assume!(n > 0.0 && m > 0.0);
            let (mut most, mut old, mut new) = (0.0f64, 0, 0);
            for (x, y) in a.iter().zip(&b) {
                (old, new) = (old + x, new + y);
                most = most.max((*x as f64 / n - *y as f64 / m).abs());
                most = most.max((old as f64 / n - new as f64 / m).abs());
            }
            let test = CellsDifference::new(&a, &b);
            prop_assert!((test.estimate().unwrap() - most).abs() < 1e-12);
            let interval = test.interval(3.0);
            prop_assert!(interval.lower <= most + 1e-9 && interval.upper >= most - 1e-9);
            prop_assert!(test.log_e_below(most, 1.0) <= 1e-9);
        }
    }
}
