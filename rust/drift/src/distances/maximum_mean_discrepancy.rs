//! Two samples of whole rows: maximum mean discrepancy with random features.

use tidegate_schema::{Error, Result};
use tidegate_sketch::SplitMix64;

/// Most rows of both samples together.
pub const MAX_COMPARED_ROWS: usize = 20_000;
/// Most numbers of the features of all rows (64 MB).
const MAX_NUMBERS: usize = 1 << 23;
/// Pairs of rows from which the usual distance is taken.
const PAIRS: usize = 1000;
/// The kernels' widths in units of the usual distance; features are shared out evenly.
const WIDTHS: [f64; 3] = [0.5, 1.0, 2.0];
/// Kernels: a Gaussian one of each width, and the one of products.
const KERNELS: usize = WIDTHS.len() + 1;

/// How samples of rows are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    /// Random features, in pairs of a cosine and a sine, and at most as many products; at least 6.
    pub features: usize,
    /// Shuffles that the chance is counted over: the least is one in `permutations + 1`.
    pub permutations: usize,
    /// Where random numbers begin.
    pub seed: u64,
}

impl Default for Kernels {
    fn default() -> Self {
        Self {
            features: 192,
            permutations: 499,
            seed: 0,
        }
    }
}

/// How far two samples of rows are apart, and how often chance alone brings them as far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discrepancy {
    /// How far the most telling kernel is above what shuffles give, in their standard deviations.
    pub statistic: f64,
    /// The share of shuffles that are as far apart, the samples themselves counted as one.
    pub p_value: f64,
}

/// The kernel two-sample test (Gretton and others 2012, "A kernel two-sample test", JMLR 13) with random
/// Fourier features (Rahimi and Recht 2007) and a permutation p-value. Rows are slices of `width`
/// numbers, one after the other.
///
/// It compares joint distributions, so it finds a changed correlation whose margins are unchanged. Each
/// column is replaced by its ranks in both samples together, so units, outliers and skew do not
/// matter. A missing value (NaN) gets the middle rank, and its column a second one that says where
/// values are missing; the infinities are ranked as values. There are four kernels: Gaussian ones at half,
/// once and twice the median distance of rows, and the products of pairs of columns, which alone are
/// sensitive to a single changed correlation among many columns. Each is measured in the
/// standard deviations of its shuffles, and the greatest counts (as in Schrab and others 2023, "MMD
/// aggregated two-sample test"). The level is exact: without drift a p-value of at most α has
/// probability at most α.
pub fn maximum_mean_discrepancy(
    baseline: &[f64],
    live: &[f64],
    width: usize,
    kernels: Kernels,
) -> Result<Discrepancy> {
    let whole = |rows: &[f64]| width > 0 && rows.len().is_multiple_of(width);
    if !whole(baseline) || !whole(live) {
        return Err(Error::invalid(format!(
            "{} and {} numbers are no rows of {width}: pass whole rows",
            baseline.len(),
            live.len()
        )));
    }
    let (n, m) = (baseline.len() / width, live.len() / width);
    if n < 2 || m < 2 || n + m > MAX_COMPARED_ROWS {
        return Err(Error::invalid(format!(
            "samples of {n} and {m} rows: compare at least 2 with 2, at most {MAX_COMPARED_ROWS} together"
        )));
    }
    let frequencies = kernels.features / 2;
    if frequencies < WIDTHS.len()
        || (n + m).saturating_mul(kernels.features).saturating_mul(2) > MAX_NUMBERS
    {
        return Err(Error::invalid(format!(
            "{} features of {} rows: use at least {}, and at most {MAX_NUMBERS} numbers in all",
            kernels.features,
            n + m,
            2 * WIDTHS.len()
        )));
    }
    if kernels.permutations == 0 {
        return Err(Error::invalid("no permutations: use some hundred"));
    }
    let columns = ranked(baseline, live, width);
    let mut random = SplitMix64::new(kernels.seed);
    let features = Features::new(&columns, n + m, frequencies, &mut random);
    let total = features.sum(0..(n + m) as u32);
    let smaller = n.min(m);
    let mut places: Vec<u32> = (0..(n + m) as u32).collect();
    if m < n {
        places.rotate_left(n);
    }
    let mut splits = vec![features.apart(&places, smaller, &total)];
    for _ in 0..kernels.permutations {
        // Only the smaller sample is summed, so only it is drawn.
        for at in 0..smaller {
            let other = at + random.below((n + m - at) as u64) as usize;
            places.swap(at, other);
        }
        splits.push(features.apart(&places, smaller, &total));
    }
    let scores = scores(&splits);
    let found = scores.first().copied().unwrap_or(0.0);
    // Rounding must not make a shuffle that leaves the samples alone seem nearer.
    let as_far = scores.iter().filter(|&&score| score >= found - 1e-9);
    Ok(Discrepancy {
        statistic: found,
        p_value: as_far.count() as f64 / splits.len() as f64,
    })
}

/// For each split the greatest of its kernels' distances, each in standard deviations over all splits.
/// The samples are one split among the others, so that the level stays exact.
fn scores(splits: &[[f64; KERNELS]]) -> Vec<f64> {
    let count = splits.len() as f64;
    let mut scores = vec![f64::NEG_INFINITY; splits.len()];
    for kernel in 0..KERNELS {
        let mean = splits.iter().map(|split| split[kernel]).sum::<f64>() / count;
        let squares = splits.iter().map(|split| (split[kernel] - mean).powi(2));
        let std = (squares.sum::<f64>() / count).sqrt();
        if std > 1e-12 * mean.abs() && std > 0.0 {
            for (score, split) in scores.iter_mut().zip(splits) {
                *score = score.max((split[kernel] - mean) / std);
            }
        }
    }
    // Without any kernel that tells splits apart they are all alike.
    if scores.iter().any(|score| score.is_infinite()) {
        scores.fill(0.0);
    }
    scores
}

/// The columns of both samples as ranks of mean 0 and variance 1, and where values are missing.
fn ranked(baseline: &[f64], live: &[f64], width: usize) -> Vec<Vec<f64>> {
    let mut columns = Vec::with_capacity(width);
    for column in 0..width {
        let all = baseline.iter().chain(live);
        let values: Vec<f64> = all.skip(column).step_by(width).copied().collect();
        let mut order: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_nan()).collect();
        order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut ranks = vec![0.0; values.len()];
        let middle = (order.len() as f64 - 1.0) / 2.0;
        let mut before = 0;
        for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
            let rank = before as f64 + (tied.len() as f64 - 1.0) / 2.0 - middle;
            tied.iter().for_each(|&row| ranks[row] = rank);
            before += tied.len();
        }
        let missing = order.len() < values.len();
        columns.extend(standardised(ranks));
        if missing {
            let flags = values.iter().map(|x| f64::from(x.is_nan()));
            columns.extend(standardised(flags.collect()));
        }
    }
    columns
}

/// The column with mean 0 and variance 1; nothing of a constant one.
fn standardised(mut column: Vec<f64>) -> Option<Vec<f64>> {
    let n = column.len() as f64;
    let mean = column.iter().sum::<f64>() / n;
    let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    if variance <= 0.0 {
        return None;
    }
    column
        .iter_mut()
        .for_each(|x| *x = (*x - mean) / variance.sqrt());
    Some(column)
}

/// Two independent normal numbers (Box and Muller 1958).
fn normals(random: &mut SplitMix64) -> (f64, f64) {
    let radius = (-2.0 * random.unit().ln()).sqrt();
    let (sine, cosine) = (2.0 * std::f64::consts::PI * random.unit()).sin_cos();
    (radius * cosine, radius * sine)
}

/// What is summed of each row: cosines and sines of random projections, then products of columns.
struct Features {
    rows: Vec<Vec<f64>>,
    /// Where the features of each kernel end.
    ends: [usize; KERNELS],
}

impl Features {
    fn new(
        columns: &[Vec<f64>],
        count: usize,
        frequencies: usize,
        random: &mut SplitMix64,
    ) -> Self {
        let usual = usual_distance(columns, count, random);
        let pairs = pairs(columns.len(), 2 * frequencies, random);
        let mut rows = vec![vec![0.0; frequencies * 2 + pairs.len()]; count];
        let mut ends = [frequencies * 2 + pairs.len(); KERNELS];
        let mut angles = vec![0.0; count];
        for at in 0..frequencies {
            let kernel = at * WIDTHS.len() / frequencies;
            ends[kernel] = 2 * at + 2;
            let scale = 1.0 / (usual * WIDTHS[kernel]);
            angles.fill(0.0);
            for pair in columns.chunks(2) {
                let (one, two) = normals(random);
                for (column, normal) in pair.iter().zip([one, two]) {
                    for (angle, x) in angles.iter_mut().zip(column) {
                        *angle += scale * normal * x;
                    }
                }
            }
            for (row, angle) in rows.iter_mut().zip(&angles) {
                (row[2 * at], row[2 * at + 1]) = angle.sin_cos();
            }
        }
        for (at, &(i, j)) in pairs.iter().enumerate() {
            let products = columns[i].iter().zip(&columns[j]);
            for (row, (x, y)) in rows.iter_mut().zip(products) {
                row[2 * frequencies + at] = x * y;
            }
        }
        Self { rows, ends }
    }

    fn sum(&self, places: impl IntoIterator<Item = u32>) -> Vec<f64> {
        let mut sum = vec![0.0; self.ends[KERNELS - 1]];
        for place in places {
            for (sum, x) in sum.iter_mut().zip(&self.rows[place as usize]) {
                *sum += x;
            }
        }
        sum
    }

    /// For each kernel the squared distance of the mean features when the first places are one sample.
    fn apart(&self, places: &[u32], first: usize, total: &[f64]) -> [f64; KERNELS] {
        let sum = self.sum(places[..first].iter().copied());
        let (n, m) = (first as f64, (places.len() - first) as f64);
        let mut begin = 0;
        self.ends.map(|end| {
            let pairs = sum[begin..end].iter().zip(&total[begin..end]);
            begin = end;
            pairs
                .map(|(part, total)| (part / n - (total - part) / m).powi(2))
                .sum()
        })
    }
}

/// The median distance of rows.
fn usual_distance(columns: &[Vec<f64>], rows: usize, random: &mut SplitMix64) -> f64 {
    let mut distances: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let (a, b) = (random.below(rows as u64), random.below(rows as u64));
            let square = |column: &Vec<f64>| (column[a as usize] - column[b as usize]).powi(2);
            columns.iter().map(square).sum::<f64>()
        })
        .filter(|&square| square > 0.0)
        .collect();
    distances.sort_unstable_by(f64::total_cmp);
    distances
        .get(distances.len() / 2)
        .map_or(1.0, |square| square.sqrt())
}

/// Pairs of columns; drawn when there are more than `most`.
fn pairs(columns: usize, most: usize, random: &mut SplitMix64) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = (0..columns)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .collect();
    for at in 0..most.min(pairs.len()) {
        let other = at + random.below((pairs.len() - at) as u64) as usize;
        pairs.swap(at, other);
    }
    pairs.truncate(most);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distances::{Pooled, kolmogorov_p, kolmogorov_smirnov};

    /// Rows of two normal numbers with a correlation, and noise of `more` columns.
    fn rows(count: usize, correlation: f64, more: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        let mut rows = Vec::new();
        for _ in 0..count {
            let (x, y) = normals(&mut random);
            rows.extend([
                x,
                correlation * x + (1.0 - correlation * correlation).sqrt() * y,
            ]);
            rows.extend((0..more).map(|_| normals(&mut random).0));
        }
        rows
    }

    fn test(baseline: &[f64], live: &[f64], width: usize, seed: u64) -> f64 {
        let kernels = Kernels {
            permutations: 99,
            seed,
            ..Kernels::default()
        };
        maximum_mean_discrepancy(baseline, live, width, kernels)
            .unwrap()
            .p_value
    }

    #[test]
    fn a_changed_correlation_is_found_though_the_margins_are_as_before() {
        let (baseline, live) = (rows(500, 0.0, 3, 1), rows(500, 0.6, 3, 2));
        for column in 0..5 {
            let of = |rows: &[f64]| -> Vec<f64> {
                rows.iter().skip(column).step_by(5).copied().collect()
            };
            let pooled = Pooled::of_values(&of(&baseline), &of(&live));
            let distance = kolmogorov_smirnov(&pooled.baseline, &pooled.live).unwrap();
            assert!(kolmogorov_p(distance, 500, 500) > 0.01, "{column}");
        }
        let found = maximum_mean_discrepancy(&baseline, &live, 5, Kernels::default()).unwrap();
        assert!(found.p_value <= 0.003, "{found:?}");
    }

    /// 200 pairs of samples without drift at α = 5 %: 21 or more rejections have a chance of 0.1 %.
    /// A correlation of 0.6 between two of three columns is nearly always found.
    #[test]
    fn the_level_holds_and_the_power_is_as_stated() {
        let rejected = |correlation: f64, streams: u64| {
            (0..streams)
                .filter(|&seed| {
                    let baseline = rows(150, 0.0, 1, 2 * seed + 1000);
                    let live = rows(100, correlation, 1, 2 * seed + 1001);
                    test(&baseline, &live, 3, seed) <= 0.05
                })
                .count()
        };
        let none = rejected(0.0, 200);
        assert!(none <= 20, "{none} rejections");
        let some = rejected(0.6, 40);
        assert!(some >= 38, "only {some} of 40");
    }

    #[test]
    fn scale_outliers_and_missing_values_do_not_matter_but_more_missing_does() {
        let (baseline, mut live) = (rows(200, 0.0, 0, 3), rows(200, 0.0, 0, 4));
        let plain = test(&baseline, &live, 2, 0);
        let stretch = |rows: &[f64]| -> Vec<f64> { rows.iter().map(|x| (3.0 * x).exp()).collect() };
        assert!((test(&stretch(&baseline), &stretch(&live), 2, 0) - plain).abs() < 1e-12);
        assert!(plain > 0.05);
        live[1] = f64::INFINITY;
        assert!(test(&baseline, &live, 2, 0) > 0.05);
        for row in live.chunks_mut(2).take(40) {
            row[0] = f64::NAN;
        }
        assert!(test(&baseline, &live, 2, 0) <= 0.02);
        let constant = vec![1.0; 40];
        assert!(test(&constant, &constant, 2, 0) > 0.99);
    }

    #[test]
    fn larger_and_smaller_samples_trade_places() {
        let (few, many) = (rows(60, 0.9, 0, 5), rows(300, 0.0, 0, 6));
        assert!(test(&few, &many, 2, 0) <= 0.02 && test(&many, &few, 2, 0) <= 0.02);
    }

    #[test]
    fn bad_input_is_refused() {
        let good = rows(10, 0.0, 0, 0);
        let run = |baseline: &[f64], width, kernels| {
            maximum_mean_discrepancy(baseline, &good, width, kernels)
        };
        let usual = Kernels::default();
        assert!(run(&good, 2, usual).is_ok());
        assert!(run(&good, 0, usual).is_err());
        assert!(run(&good[..3], 2, usual).is_err());
        assert!(run(&good[..2], 2, usual).is_err());
        assert!(run(&vec![0.0; 2 * MAX_COMPARED_ROWS], 2, usual).is_err());
        for (features, permutations) in [(4, 9), (1 << 20, 9), (192, 0)] {
            let odd = Kernels {
                features,
                permutations,
                seed: 0,
            };
            assert!(run(&good, 2, odd).is_err());
        }
    }
}
