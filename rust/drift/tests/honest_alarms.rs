//! Simulated streams: how often an alarm is false, and how long a true one takes.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use std::sync::Arc;

use tidegate_drift::sequential::{
    CellsTest, Comparable, Difference, Harmless, Mean, Proportion, Quantile, Starts, Stream,
    discoveries,
};
use tidegate_drift::{AlarmOptions, BaselineBuilder, Monitor, Windows};
use tidegate_schema::{DType, Field, Schema, TableBuf};

const ALPHA: f64 = 0.05;
/// Cells of the simulated columns.
const CELLS: usize = 8;
/// Chances are multiples of one in so many, so that a draw is a look-up and exact.
const GRID: usize = 1_024;

/// Draws from a fixed sequence (SplitMix64, Steele et al. 2014).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Adds the counts of `rows` rows; each draw is repeated `run` times.
    fn count(&mut self, table: &[u8; GRID], rows: usize, run: u64, counts: &mut [u64]) {
        let mut bits = (0u64, 0);
        for _ in 0..rows / run as usize {
            if bits.1 < 10 {
                bits = (self.next(), 60);
            }
            counts[usize::from(table[(bits.0 & 1_023) as usize])] += run;
            bits = (bits.0 >> 10, bits.1 - 10);
        }
    }
}

/// A look-up table of a distribution given in multiples of 1 / 1,024.
fn table(weights: [usize; CELLS]) -> [u8; GRID] {
    assert_eq!(weights.iter().sum::<usize>(), GRID);
    let mut table = [0; GRID];
    let mut at = 0;
    for (cell, weight) in weights.into_iter().enumerate() {
        table[at..at + weight].fill(cell as u8);
        at += weight;
    }
    table
}

const EVEN: [usize; CELLS] = [128; CELLS];
const SKEWED: [usize; CELLS] = [0, 4, 20, 100, 200, 300, 398, 2];
/// A share of 51 / 1,024 of the rows has moved.
const EVEN_AWAY: [usize; CELLS] = [128 - 51, 128, 128, 128, 128, 128, 128, 128 + 51];
const SKEWED_AWAY: [usize; CELLS] = [30, 4, 20, 100, 200, 300, 398 - 51, 2 + 21];
const AWAY: f64 = 51.0 / 1_024.0;

/// The upper end of the interval (Clopper and Pearson 1934; here by its exponential bound) of a
/// chance of which `found` of `trials` were seen, that fails once in a thousand times.
fn at_most(found: usize, trials: usize) -> f64 {
    let (n, k) = (trials as f64, found as f64);
    let share = k / n;
    let divergence = |p: f64| {
        let part = |x: f64, y: f64| if x > 0.0 { x * (x / y).ln() } else { 0.0 };
        n * (part(share, p) + part(1.0 - share, 1.0 - p))
    };
    let (mut low, mut high) = (share, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if divergence(middle) < 1_000f64.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Does a stream of 50 columns ever raise an alarm? All columns are within the tolerance: five
/// exactly at it, the others do not move at all.
fn ever_alarms(seed: u64, windows: usize, run: u64) -> bool {
    let mut draws = Draws(seed);
    let tables = [table(EVEN), table(SKEWED)];
    let away = [table(EVEN_AWAY), table(SKEWED_AWAY)];
    let mut columns: Vec<(CellsTest, Starts)> = (0..50)
        .map(|column| {
            let mut counts = [0; CELLS];
            draws.count(&tables[column % 2], 2_000, 1, &mut counts);
            (CellsTest::new(&counts, column % 3 == 0), Starts::new())
        })
        .collect();
    for window in 0..windows {
        let looked = columns
            .iter_mut()
            .enumerate()
            .map(|(column, (test, starts))| {
                let mut counts = [0; CELLS];
                let live = if column < 5 { &away } else { &tables };
                draws.count(&live[column % 2], 300, run, &mut counts);
                starts.look(&counts, window as f64, None);
                starts.log_e(test, AWAY + 1e-9)
            });
        let log_e: Vec<f64> = looked.collect();
        if !discoveries(&log_e, ALPHA).is_empty() {
            return true;
        }
    }
    false
}

#[test]
fn streams_without_harmful_drift_rarely_ever_alarm() {
    let streams = 1_000;
    let alarmed = (0..streams)
        .filter(|&seed| ever_alarms(seed, 20, 1))
        .count();
    let rate = at_most(alarmed, streams as usize);
    assert!(
        rate <= ALPHA,
        "{alarmed} of {streams} streams: at most {rate}"
    );
}

/// The test itself, without the price of many starts and columns, at the edge of the tolerance and
/// after every ten rows: the sharpest case there is.
#[test]
fn one_column_at_the_edge_of_the_tolerance_rarely_ever_alarms() {
    let streams = 2_000;
    for (from, to) in [(EVEN, EVEN_AWAY), (SKEWED, SKEWED_AWAY)] {
        let (from, to) = (table(from), table(to));
        let mut alarmed = 0;
        for seed in 0..streams {
            let mut draws = Draws(seed);
            let (mut base, mut live) = ([0; CELLS], [0; CELLS]);
            draws.count(&from, 1_000, 1, &mut base);
            let test = CellsTest::new(&base, true);
            for look in 1..60 {
                draws.count(&to, 10 * look, 1, &mut live);
                let counts = live.map(|count| count as f64);
                if test.is_beyond(&counts, AWAY)
                    && test.log_e(&counts, AWAY + 1e-9) >= (1.0 / ALPHA).ln()
                {
                    alarmed += 1;
                    break;
                }
            }
        }
        let rate = at_most(alarmed, streams as usize);
        assert!(
            rate <= ALPHA,
            "{alarmed} of {streams} streams: at most {rate}"
        );
    }
}

/// Cells whose edges are quantiles of the very baseline that is compared: its counts vary less than
/// those of fixed cells, the true shares more.
#[test]
fn edges_from_the_baseline_itself_change_nothing() {
    let (streams, bins, rows) = (1_000, 10, 500);
    let mut alarmed = 0;
    for seed in 0..streams {
        let mut draws = Draws(seed);
        let mut sample: Vec<f64> = (0..rows).map(|_| draws.uniform()).collect();
        sample.sort_by(f64::total_cmp);
        let edges: Vec<f64> = (0..=bins).map(|i| sample[i * (rows - 1) / bins]).collect();
        let cell = |x: f64| edges.partition_point(|edge| *edge <= x);
        let mut base = vec![0; bins + 2];
        sample.iter().for_each(|x| base[cell(*x)] += 1);
        let test = CellsTest::new(&base, true);
        let mut live = vec![0.0; bins + 2];
        for _ in 0..40 {
            for _ in 0..200 {
                live[cell(draws.uniform())] += 1.0;
            }
            // Next to nothing is harmless: all that the baseline's own error hides must be in the test.
            if test.log_e(&live, 1e-6) >= (1.0 / ALPHA).ln() {
                alarmed += 1;
                break;
            }
        }
    }
    let rate = at_most(alarmed, streams as usize);
    assert!(
        rate <= ALPHA,
        "{alarmed} of {streams} streams: at most {rate}"
    );
}

/// Which of many equally frequent values are among the most frequent of the baseline is chance, and the
/// counts of those that are named are too high on average: the cells of the test must not take that for drift.
#[test]
fn frequent_values_of_the_baseline_itself_change_nothing() {
    let none = Schema::new(Vec::new()).unwrap();
    let schema = Schema::new(vec![Field::nullable("value", DType::String)]).unwrap();
    let table = |draws: &mut Draws, rows: usize, values: u64| {
        let mut table = TableBuf::new(&schema, rows);
        for _ in 0..rows {
            let value = (draws.next() % values).to_string();
            table.columns[0].push_str(&value).unwrap();
        }
        table
    };
    for (values, rows) in [(20, 400), (60, 1_500), (150, 4_000), (5_000, 4_000)] {
        let (streams, mut alarmed) = (200, 0);
        for seed in 0..streams {
            let mut draws = Draws(seed * 1_000 + values);
            let mut builder = BaselineBuilder::new(&schema, &none).unwrap();
            let before = table(&mut draws, rows, values);
            builder.update(&before.view().unwrap()).unwrap();
            let windows = Windows {
                rows: 1_000,
                ..Windows::default()
            };
            // Next to nothing is harmless.
            let options = AlarmOptions {
                alpha: ALPHA,
                tolerance: 1e-6,
                ..AlarmOptions::default()
            };
            let mut monitor = Monitor::new(Arc::new(builder.finish().unwrap()), windows, 0.0)
                .unwrap()
                .with_alarms(options)
                .unwrap();
            for _ in 0..10 {
                let live = table(&mut draws, 1_000, values);
                monitor.observe(&live.view().unwrap(), 1.0).unwrap();
                if !monitor.alarms().raised().is_empty() {
                    alarmed += 1;
                    break;
                }
            }
        }
        let rate = at_most(alarmed, streams as usize);
        assert!(
            rate <= ALPHA,
            "{alarmed} of {streams} streams of {values} values: at most {rate}"
        );
    }
}

/// The shares of ten bins between deciles of a normal distribution that has moved by so many
/// standard deviations.
fn moved(by: f64) -> [f64; 10] {
    let cumulative = |x: f64| 0.5 * libm::erfc(-x / 2f64.sqrt());
    let decile = |rank: usize| {
        let (mut low, mut high) = (-9.0, 9.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if cumulative(middle) < rank as f64 / 10.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    };
    let below = |rank: usize| match rank {
        0 => 0.0,
        10 => 1.0,
        _ => cumulative(decile(rank) - by),
    };
    std::array::from_fn(|bin| below(bin + 1) - below(bin))
}

fn sample(draws: &mut Draws, shares: &[f64; 10], rows: usize) -> [u64; 10] {
    let mut counts = [0; 10];
    for _ in 0..rows {
        let mut left = draws.uniform();
        let bin = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        counts[bin.unwrap_or(9)] += 1;
    }
    counts
}

/// The p-value of Kolmogorov and Smirnov over binned values, asymptotic.
fn ks_p(base: &[u64; 10], live: &[u64; 10]) -> f64 {
    let (n, m) = (
        base.iter().sum::<u64>() as f64,
        live.iter().sum::<u64>() as f64,
    );
    let (mut x, mut y, mut apart) = (0.0, 0.0, 0f64);
    for (a, b) in base.iter().zip(live) {
        x += *a as f64 / n;
        y += *b as f64 / m;
        apart = apart.max((x - y).abs());
    }
    let root = (n * m / (n + m)).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * apart;
    let terms = (1..100).map(|k| {
        let k = f64::from(k);
        (-2.0 * k * k * lambda * lambda).exp() * if k as u32 % 2 == 1 { 2.0 } else { -2.0 }
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

/// In which window of ours, PSI ≥ 0.2 and KS p < 0.05 there is the first alarm.
fn delays(seed: u64, by: f64, rows: usize, windows: usize) -> [Option<usize>; 3] {
    let mut draws = Draws(seed);
    let (still, drifted) = (moved(0.0), moved(by));
    let base = sample(&mut draws, &still, 20_000);
    let (test, mut starts) = (CellsTest::new(&base, true), Starts::new());
    let mut first = [None; 3];
    // Ten quiet windows go before; they count only where nothing moves at all.
    for window in 0..10 + windows {
        let shares = if window < 10 { &still } else { &drifted };
        let live = sample(&mut draws, shares, rows);
        starts.look(&live, window as f64, None);
        // One of fifty columns: the level of a single discovery.
        let ours = starts.log_e(&test, 0.05) >= (50.0 / ALPHA).ln();
        let psi = tidegate_drift::psi(&base, &live).unwrap() >= 0.2;
        let alarms = [ours, psi, ks_p(&base, &live) < 0.05];
        for (first, alarm) in first.iter_mut().zip(alarms) {
            if alarm && window >= 10 && first.is_none() {
                *first = Some(window - 9);
            }
        }
    }
    first
}

#[test]
fn drift_is_found_and_thresholds_are_no_tests() {
    let rate = |by: f64, rows: usize, which: usize| {
        let found = (0..200).filter(|&seed| delays(seed, by, rows, 20)[which].is_some());
        found.count() as f64 / 200.0
    };
    // Nothing moves: ours is quiet, PSI cries on small windows, KS on any.
    assert_eq!(rate(0.0, 1_000, 0), 0.0);
    assert!(rate(0.0, 50, 1) > 0.5);
    assert!(rate(0.0, 1_000, 2) > 0.3);
    // A quarter of a standard deviation: PSI never sees it on large windows, ours does.
    assert_eq!(rate(0.25, 5_000, 1), 0.0);
    assert!(rate(0.25, 5_000, 0) > 0.9);
}

/// `cargo test --release -p tidegate-drift --test honest_alarms -- --ignored --nocapture`: the
/// tables of `docs/drift.md`.
#[test]
#[ignore = "prints tables, takes a minute"]
fn tables() {
    let mut text = String::new();
    let mut say = |line: String| text += &(line + "\n");
    for rows in [200, 1_000, 10_000] {
        for by in [0.0, 0.05, 0.1, 0.25, 0.5, 1.0] {
            let windows = 40;
            let streams = if rows > 5_000 { 100 } else { 300 };
            let found: Vec<[Option<usize>; 3]> = (0..streams)
                .map(|seed| delays(seed, by, rows, windows))
                .collect();
            let column = |which: usize| {
                let mut delays: Vec<usize> = found.iter().filter_map(|row| row[which]).collect();
                delays.sort_unstable();
                let share = delays.len() as f64 / found.len() as f64;
                let median = (share > 0.5).then(|| delays[found.len() / 2]);
                format!("{:5.1} % median {median:?}", 100.0 * share)
            };
            say(format!(
                "rows {rows} by {by}: ours {} | PSI {} | KS {}",
                column(0),
                column(1),
                column(2)
            ));
        }
    }
    for run in [1, 3, 10, 30, 100] {
        let alarmed = (0..300).filter(|&seed| ever_alarms(seed, 20, run)).count();
        say(format!("runs of {run}: {alarmed} of 300 streams alarm"));
    }
    let still = |run: u64| {
        (0..300u64)
            .filter(|&seed| {
                let mut draws = Draws(seed);
                let table = table(EVEN);
                let mut base = [0; CELLS];
                draws.count(&table, 20_000, 1, &mut base);
                let (test, mut starts) = (CellsTest::new(&base, true), Starts::new());
                (0..40).any(|window| {
                    let mut counts = [0; CELLS];
                    draws.count(&table, 1_000, run, &mut counts);
                    starts.look(&counts, f64::from(window), None);
                    starts.log_e(&test, 0.1) >= (1.0 / ALPHA).ln()
                })
            })
            .count()
    };
    for run in [1, 10, 30, 100, 300] {
        say(format!(
            "no drift, runs of {run}, tolerance 0.1: {} of 300 streams alarm",
            still(run)
        ));
    }
    eprintln!("{text}");
}

/// Streams of one figure that is exactly at the bound: at most α of them ever find evidence.
fn ever<S>(begin: impl Fn() -> S, log_e: impl Fn(&S) -> f64, grow: impl Fn(&mut S, &mut Draws)) {
    let streams = 1_000;
    let mut alarmed = 0;
    for seed in 0..streams {
        let mut draws = Draws(seed + 77);
        let mut state = begin();
        for _ in 0..20 {
            grow(&mut state, &mut draws);
            if log_e(&state) >= (1.0 / ALPHA).ln() {
                alarmed += 1;
                break;
            }
        }
    }
    let rate = at_most(alarmed, streams as usize);
    assert!(
        rate <= ALPHA,
        "{alarmed} of {streams} streams: at most {rate}"
    );
}

#[test]
fn figures_at_their_bound_rarely_ever_show_evidence() {
    let skewed = |draws: &mut Draws| draws.uniform().powi(3);
    // Mean ¼.
    for harmless in [
        Harmless::AtMost(0.25),
        Harmless::AtLeast(0.25),
        Harmless::Between(0.25, 0.25),
    ] {
        ever(
            || Mean::new(0.0, 1.0).unwrap(),
            |mean| mean.log_e(harmless),
            |mean, draws| (0..25).for_each(|_| mean.update(skewed(draws))),
        );
        ever(
            Proportion::new,
            |share| share.log_e(harmless),
            |share, draws| (0..25).for_each(|_| share.update(u64::from(draws.uniform() < 0.25), 1)),
        );
    }
    // The median of u³ is ⅛.
    for harmless in [Harmless::AtMost(0.125), Harmless::AtLeast(0.125)] {
        ever(
            || Quantile::new(0.5).unwrap(),
            |median| median.log_e(harmless),
            |median, draws| (0..25).for_each(|_| median.update(skewed(draws))),
        );
    }
}

#[test]
fn differences_at_their_bound_rarely_ever_show_evidence() {
    fn both<S: Comparable + Clone>(state: S) -> Difference<S> {
        Difference::new(state.clone(), state)
    }
    let unlike = |draws: &mut Draws| 0.1 + 0.9 * draws.uniform();
    for harmless in [Harmless::AtMost(0.05), Harmless::AtLeast(0.05)] {
        ever(
            || both(Mean::new(0.0, 1.0).unwrap()),
            |pair| pair.log_e(harmless),
            |pair, draws| {
                for _ in 0..20 {
                    pair.base.update(draws.uniform());
                    pair.live.update(unlike(draws));
                }
            },
        );
        ever(
            || both(Proportion::new()),
            |pair| pair.log_e(harmless),
            |pair, draws| {
                for _ in 0..20 {
                    pair.base.update(u64::from(draws.uniform() < 0.2), 1);
                    pair.live.update(u64::from(draws.uniform() < 0.25), 1);
                }
            },
        );
    }
    // Medians ½ and 0.55.
    ever(
        || both(Quantile::new(0.5).unwrap()),
        |pair| pair.log_e(Harmless::AtMost(0.05)),
        |pair, draws| {
            for _ in 0..20 {
                pair.base.update(draws.uniform());
                pair.live.update(unlike(draws));
            }
        },
    );
}
