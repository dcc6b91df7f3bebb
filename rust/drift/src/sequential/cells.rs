//! Has a stream left its baseline by more than a tolerance? Over cells, with all of their shares.

use super::interval::Interval;
use super::mixture::{falls_below, log_best, log_beta, log_dirichlet, log_dot, log_sum_exp};
use super::tolerance::{log_best_within, total_variation};

/// The power of the baseline's likelihood ratio. Its own mean is infinite; to this power it is at
/// most [`PRICE`] for each cell but the first.
const TEMPER: f64 = 0.7;
/// The greatest mean of `(L_best / L_p)^TEMPER` over two cells, any `p` and any number of rows, is
/// 2.002 (computed; a test does it again). For `k` cells it is at most its `(k − 1)`-th power, since a
/// sample of `k` cells is one of two cells, of whose second one is a sample of `k − 1`, and so on.
const PRICE: f64 = 2.01;
/// Rows that a prior around the baseline's own shares weighs: drifts from large to small.
const WEIGHTS: [f64; 3] = [30.0, 300.0, 3_000.0];
/// How far the shares are tilted towards one end of ordered cells, in logits of the rank: shifts of
/// about a twelfth, a quarter and three quarters of a standard deviation, and
const TILTS: [f64; 6] = [-0.45, -0.15, -0.05, 0.05, 0.15, 0.45];
/// the rows that a prior around tilted shares weighs.
const TILTED_WEIGHTS: [f64; 2] = [100.0, 1_000.0];

/// The baseline's side of a test over cells, prepared once.
///
/// The null hypothesis: the distributions `p` of the baseline and `q` of the stream have a total
/// variation distance of at most the tolerance. The e-value is a product of two, made least over
/// all pairs that the hypothesis allows (universal inference, Wasserman, Ramdas and Balakrishnan
/// 2020):
///
/// * of the baseline, which is a sample too: `(L_best(a) / L_p(a))^0.7 / 2.01^(k − 1)`, whose mean is at
///   most 1 for every `p` on `k` cells;
/// * of the stream: a mixture of likelihoods over `L_q(b)`, a martingale for every `q`, so that it
///   may be looked at after any row. The mixture takes all shares as unknown, as near to the baseline's,
///   as near to the baseline's tilted towards one end, or moves one cell or one half line alone: the
///   nearer the guess, the less evidence is needed.
#[derive(Clone, Debug)]
pub struct CellsTest {
    /// Counts of the baseline, tempered.
    tempered: Vec<f64>,
    /// The baseline's smoothed shares; then, for ordered cells, the tilted ones.
    centres: Vec<Vec<f64>>,
    /// `ln` of the greatest tempered likelihood of the baseline, less its price.
    constant: f64,
}

impl CellsTest {
    /// A test against a baseline with these counts. Of `ordered` cells all but the last, which holds
    /// what is missing, stand in the order of their values.
    #[must_use]
    pub fn new(baseline: &[u64], ordered: bool) -> Self {
        let cells = baseline.len() as f64;
        let counts: Vec<f64> = baseline.iter().map(|&count| count as f64).collect();
        let tempered: Vec<f64> = counts.iter().map(|count| TEMPER * count).collect();
        let total: f64 = counts.iter().sum();
        let share = |count: &f64| (count + 0.5) / (total + 0.5 * cells);
        let shares: Vec<f64> = counts.iter().map(share).collect();
        let mut centres = vec![shares.clone()];
        if ordered {
            centres.extend(TILTS.map(|tilt| tilted(&shares, tilt)));
        }
        Self {
            constant: log_best(&tempered) - price(counts.len()),
            tempered,
            centres,
        }
    }

    /// The same test against other counts of the same cells.
    #[must_use]
    pub fn against(&self, baseline: &[u64]) -> Self {
        Self::new(baseline, self.centres.len() > 1)
    }

    /// `ln` of the e-value against "the distance is at most `tolerance`". Counts need not be
    /// whole: a forecast scales them.
    #[must_use]
    pub fn log_e(&self, live: &[f64], tolerance: f64) -> f64 {
        self.log_mixture(live) - self.log_null(live, tolerance)
    }

    /// Can the evidence be more than none? Cheap, and false for most windows without drift.
    #[must_use]
    pub fn is_beyond(&self, live: &[f64], tolerance: f64) -> bool {
        self.distance(live).is_some_and(|found| found > tolerance)
    }

    /// The distance between the samples; `None` when either is empty.
    #[must_use]
    pub fn distance(&self, live: &[f64]) -> Option<f64> {
        total_variation(&self.tempered, live)
    }

    /// The distances that the evidence does not exclude: the lower end falls short of the true one
    /// at all times with a chance of at least `1 − exp(−level)`, and so does the upper one exceed
    /// it. `penalty` is what the start of the stream costs (0 for one that was known beforehand).
    #[must_use]
    pub fn interval(&self, live: &[f64], level: f64, penalty: f64) -> Interval {
        let due = level + penalty;
        let Some(distance) = self.distance(live) else {
            return Interval {
                lower: 0.0,
                upper: 1.0,
            };
        };
        let mixture = self.log_mixture(live);
        let lower = falls_below((0.0, distance), due, |tolerance| {
            mixture - self.log_null(live, tolerance.max(1e-9))
        });
        // 0.7 n KL(p̂ ‖ p) + m KL(q̂ ‖ q) is at most this, so the distances to the truth are at most
        // √(KL / 2) each (Pinsker), and their sum is largest where both take their part.
        let spent = (due + log_best(live) - mixture + price(live.len())).max(0.0);
        let (n, m) = (self.tempered.iter().sum::<f64>(), live.iter().sum::<f64>());
        let reach = (0.5 * spent * (1.0 / n + 1.0 / m)).sqrt();
        Interval {
            lower,
            upper: (distance + reach).min(1.0),
        }
    }

    fn log_null(&self, live: &[f64], tolerance: f64) -> f64 {
        log_best_within(&self.tempered, live, tolerance) - self.constant
    }

    /// `ln` of the mixture's likelihood of the stream: half of it on Dirichlet priors, half on
    /// single cells and half lines.
    fn log_mixture(&self, live: &[f64]) -> f64 {
        let Some((shares, tilted)) = self.centres.split_first() else {
            return 0.0;
        };
        let half = 0.5f64.ln();
        let priors = 1 + WEIGHTS.len() + tilted.len() * TILTED_WEIGHTS.len();
        let wide = half - (priors as f64).ln();
        let narrow = half - (2.0 * live.len() as f64).ln();
        let near = |shares: &[f64], weight: f64| {
            let prior = shares.iter().map(|share| 0.05 + weight * share);
            wide + log_dirichlet(prior, live)
        };
        let mut terms = vec![wide + log_dirichlet(live.iter().map(|_| 0.5), live)];
        terms.extend(WEIGHTS.map(|weight| near(shares, weight)));
        for shares in tilted {
            terms.extend(TILTED_WEIGHTS.map(|weight| near(shares, weight)));
        }
        let rows: f64 = live.iter().sum();
        let all = log_dot(live, |cell, _| shares[cell]);
        // A group takes an unknown share, and within and without the baseline's proportions hold.
        let group = |count: f64, share: f64| {
            let (rest, other) = ((rows - count).max(0.0), 1.0 - share);
            let regained = log_dot(&[count, rest], |side, _| [share, other][side]);
            narrow + log_beta(count, rest) + all - regained
        };
        let (mut count, mut share) = (0.0, 0.0);
        for (cell, (&found, &due)) in live.iter().zip(shares).enumerate() {
            terms.push(group(found, due));
            count += found;
            share += due;
            if cell + 1 < live.len() {
                terms.push(group(count, share));
            }
        }
        log_sum_exp(terms.iter().copied())
    }
}

/// `ln` of what the tempered likelihood ratio of a baseline on so many cells is divided by.
fn price(cells: usize) -> f64 {
    (cells as f64 - 1.0).max(0.0) * PRICE.ln()
}

/// Shares with more weight on cells at one end: in proportion to `(u / (1 − u))^tilt` for the middle
/// rank `u` of each. The last cell keeps its share.
fn tilted(shares: &[f64], tilt: f64) -> Vec<f64> {
    let Some((&missing, values)) = shares.split_last() else {
        return Vec::new();
    };
    let present: f64 = values.iter().sum();
    let mut below = 0.0;
    let mut weighted: Vec<f64> = values
        .iter()
        .map(|share| {
            let rank = (below + 0.5 * share) / present;
            below += share;
            share * (rank / (1.0 - rank)).powf(tilt)
        })
        .collect();
    let sum: f64 = weighted.iter().sum();
    weighted
        .iter_mut()
        .for_each(|weight| *weight *= present / sum);
    weighted.push(missing);
    weighted
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Exactly, over every outcome of both samples.
        let pairs = [
            ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
            ([0.2, 0.3, 0.5], [0.3, 0.3, 0.4]),
            ([0.05, 0.05, 0.9], [0.0, 0.2, 0.8]),
            ([0.0, 0.5, 0.5], [0.1, 0.5, 0.4]),
            ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        ];
        for (p, q) in pairs {
            let within: f64 = 0.5
                * p.iter()
                    .zip(&q)
                    .map(|(p, q): (&f64, &f64)| (p - q).abs())
                    .sum::<f64>();
            for (n, m) in [(1, 7), (6, 6), (12, 4)] {
                let mut mean = 0.0;
                for a in outcomes(n) {
                    let test = CellsTest::new(&a, true);
                    for b in outcomes(m) {
                        let live = b.map(|count| count as f64);
                        let e = test.log_e(&live, within + 1e-9).exp();
                        mean += chance(&a, &p) * chance(&b, &q) * e;
                    }
                }
                assert!(mean > 0.0 && mean <= 1.0, "{mean} at {p:?} {q:?} {n} {m}");
            }
        }
    }

    #[test]
    fn the_price_of_a_cell_covers_the_mean() {
        let mut greatest: f64 = 0.0;
        for rows in (1..40).chain([60, 100, 300, 1_000]) {
            let n = f64::from(rows);
            // Shares in the middle, and of a few rows.
            let shares = (1..100).map(|i| f64::from(i) / 200.0);
            let few = (1..120).map(|i| (0.02 * 1.07f64.powi(i) / n).min(0.5));
            for share in shares.chain(few) {
                let mean: f64 = (0..=rows)
                    .map(|count| {
                        let (k, p) = (f64::from(count), share);
                        let ways = libm::lgamma(n + 1.0)
                            - libm::lgamma(k + 1.0)
                            - libm::lgamma(n - k + 1.0);
                        let counts = [k, n - k];
                        let own = log_dot(&counts, |side, _| [p, 1.0 - p][side]);
                        (ways + own + TEMPER * (log_best(&counts) - own)).exp()
                    })
                    .sum();
                greatest = greatest.max(mean);
            }
        }
        assert!(greatest < PRICE && greatest > 2.0, "{greatest}");
    }

    #[test]
    fn evidence_grows_with_rows_and_interval_holds_the_distance() {
        let test = CellsTest::new(&[25_000, 25_000, 25_000, 25_000], false);
        let (mut before, mut lower) = (f64::NEG_INFINITY, 0.0);
        for rows in [1_000.0, 4_000.0, 16_000.0, 64_000.0] {
            // A tenth of the rows has moved from the first cell to the last.
            let live = [0.15 * rows, 0.25 * rows, 0.25 * rows, 0.35 * rows];
            let log_e = test.log_e(&live, 0.05);
            let interval = test.interval(&live, 20f64.ln(), 0.0);
            assert!(log_e > before, "{log_e} {rows}");
            assert!(interval.lower >= lower && interval.lower <= 0.1);
            assert!(interval.upper >= 0.1);
            // The lower end and the e-value say the same.
            assert_eq!(log_e >= 20f64.ln(), interval.lower >= 0.05 - 1e-6);
            (before, lower) = (log_e, interval.lower);
        }
        assert!(before > 20f64.ln() && lower > 0.05);
    }

    #[test]
    fn no_rows_say_nothing() {
        let test = CellsTest::new(&[10, 20], true);
        assert!(test.log_e(&[0.0, 0.0], 0.1) <= 0.0);
        assert_eq!(test.distance(&[0.0, 0.0]), None);
        let interval = test.interval(&[0.0, 0.0], 3.0, 0.0);
        assert_eq!((interval.lower, interval.upper), (0.0, 1.0));
    }
}
