//! The best that any pair of distributions within a tolerance of each other says of two samples.

use super::mixture::{log_best, log_dot};

/// Steps of the search; it converges in about ten.
const STEPS: usize = 60;

/// The total variation distance `½ Σ |p − q|` of the shares of two samples: the share of rows that
/// would have to move to another cell. `None` when either is empty.
pub(crate) fn total_variation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (n, m) = (a.iter().sum::<f64>(), b.iter().sum::<f64>());
    let apart = a.iter().zip(b).map(|(x, y)| (x / n - y / m).abs());
    (n > 0.0 && m > 0.0).then(|| 0.5 * apart.sum::<f64>())
}

/// `max Σ aᵢ ln pᵢ + Σ bᵢ ln qᵢ` over all distributions `p`, `q` with `TV(p, q) ≤ tolerance`.
///
/// The problem is concave. Its conditions of optimality cut the cells, in the order of `b / a`,
/// into a head whose share rises from `p` to `q` by the tolerance in all, a tail whose share falls
/// by as much, and a middle that is equal in both. With multipliers `α`, `α′` of head and tail and
/// `σ` of the middle, `p = a / α`, `q = b / (σ − α)` in the head, `p = a / α′`, `q = b / (σ − α′)`
/// in the tail, and `p = q = (a + b) / σ` between. For a given `σ` both multipliers are roots of
/// quadratics, and `σ + tolerance · (α′ − α)`, which rises with `σ`, must be the sum of all counts.
pub(crate) fn log_best_within(a: &[f64], b: &[f64], tolerance: f64) -> f64 {
    if total_variation(a, b).is_none_or(|distance| distance <= tolerance) {
        return log_best(a) + log_best(b);
    }
    let cells = Cells::new(a, b);
    let total: f64 = a.iter().chain(b).sum();
    let excess = |sigma: f64| {
        let (head, tail) = (cells.head(sigma, tolerance), cells.tail(sigma, tolerance));
        sigma + tolerance * (tail.multiplier - head.multiplier) - total
    };
    // It rises from −total at 0 to at least 0 at `total`: false position (Illinois) between.
    let (mut low, mut high) = (0.0, total);
    let (mut below, mut above) = (-total, excess(total));
    let mut sigma = total;
    for _ in 0..STEPS {
        if above <= 0.0 || high - low <= 1e-13 * total {
            break;
        }
        sigma = (low * above - high * below) / (above - below);
        let found = excess(sigma);
        if found.abs() <= 1e-12 * total {
            break;
        }
        if found < 0.0 {
            (low, below) = (sigma, found);
            above *= 0.5;
        } else {
            (high, above) = (sigma, found);
            below *= 0.5;
        }
    }
    cells.log_likelihood(sigma, tolerance)
}

/// Cells in falling order of `b / a`.
struct Cells {
    a: Vec<f64>,
    b: Vec<f64>,
}

/// A run of cells at one end, and its multiplier.
#[derive(Clone, Copy)]
struct Run {
    cells: usize,
    multiplier: f64,
}

impl Cells {
    fn new(a: &[f64], b: &[f64]) -> Self {
        let mut pairs: Vec<(f64, f64)> = a
            .iter()
            .copied()
            .zip(b.iter().copied())
            .filter(|(a, b)| a + b > 0.0)
            .collect();
        // Of cells that are empty on one side the ratio is 0 or infinite; none is empty on both.
        pairs.sort_by(|x, y| (y.1 / y.0).total_cmp(&(x.1 / x.0)));
        let (a, b) = pairs.into_iter().unzip();
        Self { a, b }
    }

    /// The head for a `σ`: of all runs from the front the one with the least `α` that solves
    /// `B / (σ − α) − A / α = tolerance`.
    fn head(&self, sigma: f64, tolerance: f64) -> Run {
        let mut least = Run {
            cells: 0,
            multiplier: f64::INFINITY,
        };
        let (mut a, mut b) = (0.0, 0.0);
        for (place, (x, y)) in self.a.iter().zip(&self.b).enumerate() {
            a += x;
            b += y;
            let half = 0.5 * (a + b - tolerance * sigma);
            let root = (half * half + tolerance * a * sigma).sqrt();
            let alpha = if half > 0.0 {
                a * sigma / (half + root)
            } else {
                (root - half) / tolerance
            };
            if alpha < least.multiplier {
                least = Run {
                    cells: place + 1,
                    multiplier: alpha,
                };
            }
        }
        least
    }

    /// The tail for a `σ`: of all runs from the back the one with the greatest `α′` that solves
    /// `A / α′ − B / (σ − α′) = tolerance`.
    fn tail(&self, sigma: f64, tolerance: f64) -> Run {
        let mut greatest = Run {
            cells: 0,
            multiplier: 0.0,
        };
        let (mut a, mut b) = (0.0, 0.0);
        for (place, (x, y)) in self.a.iter().zip(&self.b).rev().enumerate() {
            a += x;
            b += y;
            let half = 0.5 * (a + b + tolerance * sigma);
            let root = (half * half - tolerance * a * sigma).max(0.0).sqrt();
            let alpha = a * sigma / (half + root);
            if alpha > greatest.multiplier {
                greatest = Run {
                    cells: place + 1,
                    multiplier: alpha,
                };
            }
        }
        greatest
    }

    fn log_likelihood(&self, sigma: f64, tolerance: f64) -> f64 {
        let (head, tail) = (self.head(sigma, tolerance), self.tail(sigma, tolerance));
        let end = self.a.len();
        let multiplier = |cell: usize| {
            if cell < head.cells {
                Some(head.multiplier)
            } else if cell >= end - tail.cells {
                Some(tail.multiplier)
            } else {
                None
            }
        };
        let middle = |cell: usize| (self.a[cell] + self.b[cell]) / sigma;
        log_dot(&self.a, |cell, count| {
            multiplier(cell).map_or_else(|| middle(cell), |alpha| count / alpha)
        }) + log_dot(&self.b, |cell, count| {
            multiplier(cell).map_or_else(|| middle(cell), |alpha| count / (sigma - alpha))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same maximum by another way: `p` and `q` move along pairs of cells (projected ascent of
    /// the dual: for a price on the distance, each problem is separable and found by bisection).
    fn slowly(a: &[f64], b: &[f64], tolerance: f64) -> f64 {
        // min over price ≥ 0 of max over p, q of [likelihood + price (tolerance − Σ (q − p)₊)],
        // where the maximum runs over signs s in [0, 1] per cell: a / p = μ − price s, and so on.
        let value = |price: f64| {
            // Multipliers by two nested bisections on Σ p = 1 and Σ q = 1.
            let shares = |mu: f64, nu: f64| {
                let (mut p, mut q) = (Vec::new(), Vec::new());
                for (&a, &b) in a.iter().zip(b) {
                    // Where the signs agree with the order of p and q.
                    let (rise_p, rise_q) = (a / (mu - price).max(1e-300), b / (nu + price));
                    let (fall_p, fall_q) = (a / mu, b / nu);
                    if price < mu && rise_q >= rise_p {
                        p.push(rise_p);
                        q.push(rise_q);
                    } else if fall_p >= fall_q {
                        p.push(fall_p);
                        q.push(fall_q);
                    } else {
                        p.push((a + b) / (mu + nu));
                        q.push((a + b) / (mu + nu));
                    }
                }
                (p, q)
            };
            let solve_nu = |mu: f64| {
                let (mut low, mut high) = (1e-9_f64, 1e9_f64);
                for _ in 0..200 {
                    let middle = (low * high).sqrt();
                    if shares(mu, middle).1.iter().sum::<f64>() > 1.0 {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                (low * high).sqrt()
            };
            let (mut low, mut high) = (1e-9_f64, 1e9_f64);
            for _ in 0..200 {
                let middle = (low * high).sqrt();
                if shares(middle, solve_nu(middle)).0.iter().sum::<f64>() > 1.0 {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            let mu = (low * high).sqrt();
            let (p, q) = shares(mu, solve_nu(mu));
            let apart: f64 = p.iter().zip(&q).map(|(p, q)| (q - p).max(0.0)).sum();
            let likelihood = log_dot(a, |i, _| p[i]) + log_dot(b, |i, _| q[i]);
            (likelihood, apart)
        };
        let (mut low, mut high) = (0.0, a.iter().chain(b).sum::<f64>());
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if value(middle).1 > tolerance {
                low = middle;
            } else {
                high = middle;
            }
        }
        value(high).0
    }

    #[test]
    fn two_cells_have_a_closed_form() {
        // By symmetry the shares move by half of the tolerance each way.
        let found = log_best_within(&[50.0, 50.0], &[90.0, 10.0], 0.4);
        assert!(found <= log_best(&[50.0, 50.0]) + log_best(&[90.0, 10.0]));
        // Nothing may differ: the pooled shares.
        let pooled = log_dot(&[50.0, 50.0], |i, _| [0.7, 0.3][i])
            + log_dot(&[90.0, 10.0], |i, _| [0.7, 0.3][i]);
        let equal = log_best_within(&[50.0, 50.0], &[90.0, 10.0], 1e-12);
        assert!((equal - pooled).abs() < 1e-6, "{equal} {pooled}");
    }

    #[test]
    fn another_way_finds_the_same_maximum() {
        let cases: [(&[f64], &[f64]); 4] = [
            (&[10.0, 20.0, 30.0, 40.0], &[40.0, 30.0, 20.0, 10.0]),
            (
                &[500.0, 300.0, 100.0, 90.0, 10.0],
                &[1.0, 3.0, 5.0, 2.0, 9.0],
            ),
            (&[5.0, 5.0, 1.0], &[1.0, 1.0, 900.0]),
            (&[1000.0, 10.0, 1.0, 300.0], &[10.0, 30.0, 30.0, 7.0]),
        ];
        for (a, b) in cases {
            for tolerance in [0.01, 0.05, 0.2] {
                let (fast, slow) = (log_best_within(a, b, tolerance), slowly(a, b, tolerance));
                assert!(
                    (fast - slow).abs() < 1e-3,
                    "{a:?} {b:?} {tolerance}: {fast} {slow}"
                );
            }
        }
    }

    proptest! {
        /// No pair of distributions within the tolerance does better, and the bound is monotone.
        #[test]
        fn nothing_within_the_tolerance_does_better(
            counts in prop::collection::vec((0u32..500, 0u32..500, 0u32..100, 0u32..100), 2..60),
            tolerance in 0.001..0.5f64,
        ) {
            let side = |pick: fn(&(u32, u32, u32, u32)) -> u32| -> Vec<f64> {
                counts.iter().map(|c| f64::from(pick(c))).collect()
            };
            let (a, b) = (side(|c| c.0), side(|c| c.1));
            let best = log_best_within(&a, &b, tolerance);
            prop_assert!(best.is_finite());
            prop_assert!(best <= log_best(&a) + log_best(&b) + 1e-6);
            prop_assert!(log_best_within(&a, &b, tolerance * 1.5) >= best - 1e-6 * best.abs());
            // Trials: a pooled centre, moved to either side until the tolerance is used up.
            let (x, y) = (side(|c| c.2), side(|c| c.3));
            let (n, m) = (x.iter().sum::<f64>() + 1.0, y.iter().sum::<f64>() + 1.0);
            let cells = a.len() as f64;
            let p: Vec<f64> = x.iter().map(|x| (x + 1.0 / cells) / n).collect();
            let far: Vec<f64> = y.iter().map(|y| (y + 1.0 / cells) / m).collect();
            let apart = total_variation(&p, &far).unwrap();
            let share = (tolerance / apart.max(1e-12)).min(1.0);
            let q: Vec<f64> = p.iter().zip(&far).map(|(p, f)| p + share * (f - p)).collect();
            let trial = log_dot(&a, |i, _| p[i]) + log_dot(&b, |i, _| q[i]);
            prop_assert!(trial <= best + 1e-6 * best.abs().max(1.0), "{} {}", trial, best);
        }
    }
}
