//! What a batch of a given size costs, learned from the batches that ran.

use std::time::Duration;

use crate::point::Point;

/// Sizes that are learned apart: up to 1, 2, 3, 4, 6, 8, 12, … 2^20 rows, the last also for all
/// above.
pub const SIZES: usize = 40;

/// Mean deviations above the mean that a batch is taken to need where a deadline depends on it:
/// 99 of 100 normally distributed times stay below 2.9.
const CAUTION: f64 = 3.0;

/// What a clock may show as no time at all.
const LEAST_SECONDS: f64 = 1e-9;

/// A split must save more than such a share of the time of the whole batch to be worth another
/// run: each run has costs of its own outside of the model.
const WORTH: f64 = 0.03;

/// Standard errors by which a size must be better: of some ten sizes that are in truth equal the
/// best looks better than the mean by 1.5.
const SURE: f64 = 2.0;

/// One decision in so many may try another size than the best known, so that what has become
/// faster is found out.
const EXPLORE_EVERY: u32 = 32;

/// What trying other sizes may cost, as a share of the time.
const EXPLORE_SHARE: f64 = 0.01;

/// The most seconds that are saved up for exploring: what was not needed for long is forgotten.
const MOST_BUDGET: f64 = 0.1;

/// The first batch of a size counts for at most so many times what other sizes say of it: one that
/// was disturbed would otherwise keep all of its size from being run in time, for good.
const MOST_FIRST: f64 = 4.0;

/// After so many batches of other sizes the time of a size is held to be at most what its rows take
/// in batches of a size that still runs: where a deadline forbids a size, nobody else would find out
/// that it has become faster.
const STALE: u32 = 1024;

/// Exploring goes down at most this many sizes, to an eighth of the rows: what is smaller by far
/// is seen whenever the load is low.
const EXPLORE_DEPTH: usize = 6;

/// The time of a batch as a curve over its size: for each of [`SIZES`] sizes what batches take as
/// they come, with their deviation, and what an undisturbed one takes.
///
/// Models differ: some gain twenty-fold by batching, some nothing, and kernels change their
/// strategy with size. So the sizes are learned apart. Between two known sizes the curve is
/// straight; below the smallest it is flat (a batch does not get dearer by getting smaller), and
/// above the largest proportional (it never gains less than nothing from batching).
#[derive(Clone, Debug)]
pub struct CostCurve {
    points: [Point; SIZES],
    /// A bit for each size that has run.
    known: u64,
    /// How fast the machine is now, as a factor on the undisturbed times of all sizes.
    pace: f64,
    /// All batches.
    count: u32,
    decisions: u32,
    /// Which other size is tried next.
    turn: usize,
    /// Seconds that may yet be lost by exploring.
    budget: f64,
}

impl Default for CostCurve {
    fn default() -> Self {
        Self {
            points: [Point::default(); SIZES],
            known: 0,
            pace: 1.0,
            count: 0,
            decisions: 0,
            turn: 0,
            budget: 0.0,
        }
    }
}

/// The index of the size class that holds `rows`.
#[must_use]
pub fn size_class(rows: usize) -> usize {
    let rows = rows.max(1);
    if rows <= 2 {
        return rows - 1;
    }
    // Of the powers of two 2^k, the classes end at 1.5 × 2^k and 2^(k+1).
    let exponent = (rows - 1).ilog2() as usize;
    let upper = usize::from(rows > (1 << exponent) + (1 << (exponent - 1)));
    (2 * exponent + upper).min(SIZES - 1)
}

/// The most rows of a size class.
#[must_use]
pub fn size_limit(class: usize) -> usize {
    if class < 2 {
        return class + 1;
    }
    let exponent = class / 2;
    if class % 2 == 1 {
        1 << (exponent + 1)
    } else {
        (1 << exponent) + (1 << (exponent - 1))
    }
}

impl CostCurve {
    /// Takes notice that a batch of `rows` rows took `time`; gives what such a batch is now held
    /// to take.
    pub fn learn(&mut self, rows: usize, time: Duration) -> Duration {
        let class = size_class(rows);
        let expected = self.disturbed(rows).map_or(f64::INFINITY, |(mean, _)| mean);
        let (rows, seconds) = (rows.max(1) as f64, time.as_secs_f64().max(LEAST_SECONDS));
        let Some(point) = self.points.get_mut(class) else {
            return time;
        };
        self.count = self.count.wrapping_add(1);
        if self.known & (1 << class) == 0 {
            self.known |= 1 << class;
            let seconds = seconds.min(MOST_FIRST * expected);
            *point = Point::new(rows, seconds, self.pace, self.count);
        } else {
            self.pace *= point.learn(rows, seconds, self.pace, self.count);
        }
        duration(point.seconds)
    }

    /// Has any batch run?
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known != 0
    }

    /// What a batch of `rows` rows is likely to take; nothing while no batch has run.
    #[must_use]
    pub fn estimate(&self, rows: usize) -> Option<Duration> {
        self.disturbed(rows).map(|(seconds, _)| duration(seconds))
    }

    /// What a batch of `rows` rows takes if nothing disturbs it: the work that it is.
    #[must_use]
    pub fn work(&self, rows: usize) -> Option<Duration> {
        self.undisturbed(rows).map(|(seconds, _)| duration(seconds))
    }

    /// What a batch of `rows` rows is unlikely to exceed: the estimate, and twice the mean
    /// deviation. For decisions on which a deadline depends.
    #[must_use]
    pub fn bound(&self, rows: usize) -> Option<Duration> {
        self.disturbed(rows)
            .map(|(seconds, spread)| duration(seconds + CAUTION * spread))
    }

    /// The most rows, up to `most`, that a batch can have to be unlikely to exceed `time`; 0 when
    /// one row is too many, or nothing is known.
    #[must_use]
    pub fn rows_within(&self, time: Duration, most: usize) -> usize {
        let fits = |rows| self.bound(rows).is_some_and(|bound| bound <= time);
        if fits(most) {
            return most;
        }
        let (mut fitting, mut exceeding) = (0, most);
        while exceeding - fitting > 1 {
            let middle = fitting + (exceeding - fitting) / 2;
            if fits(middle) {
                fitting = middle;
            } else {
                exceeding = middle;
            }
        }
        fitting
    }

    /// How many of `rows` rows to run now, for the best throughput: all of them, or fewer where
    /// several batches are known to take less time than one.
    #[must_use]
    pub fn best(&self, rows: usize) -> usize {
        let Some((whole, error)) = self.undisturbed(rows).filter(|_| rows > 1) else {
            return rows;
        };
        // What is gained has to be more than the two may be wrong by.
        let worth = (whole - SURE * error) * (1.0 - WORTH);
        let classes = || {
            let below = size_class(rows);
            (0..below).filter(|class| self.known & (1 << class) != 0)
        };
        // No size is fast enough in the most common case, which is thereby cheap.
        let each = classes().filter_map(|class| self.points.get(class));
        let fastest = each.fold(f64::INFINITY, |least, point| least.min(point.each));
        if fastest * self.pace * rows as f64 >= worth {
            return rows;
        }
        let mut surely = false;
        let mut best = (f64::INFINITY, rows);
        for class in classes() {
            let size = size_limit(class);
            let (total, error) = self.in_pieces(rows, size);
            surely |= total + SURE * error < worth;
            if total < best.0 {
                best = (total, size);
            }
        }
        if surely { best.1 } else { rows }
    }

    /// Seconds and their error when so many rows are run in pieces of a size.
    fn in_pieces(&self, rows: usize, size: usize) -> (f64, f64) {
        let unknown = (f64::INFINITY, 0.0);
        let of = |rows| match rows {
            0 => (0.0, 0.0),
            rows => self.undisturbed(rows).unwrap_or(unknown),
        };
        let (whole, rest) = (of(size), of(rows % size));
        let pieces = (rows / size) as f64;
        // The pieces of one size are wrong by the same.
        (pieces * whole.0 + rest.0, pieces * whole.1 + rest.1)
    }

    /// As [`CostCurve::best`], but once in a while another size, so that the curve stays known
    /// around the best one. That costs at most one hundredth of the time.
    pub fn choose(&mut self, rows: usize) -> usize {
        let best = self.best(rows);
        let Some((seconds, _)) = self.undisturbed(best).filter(|_| rows > 1) else {
            return best;
        };
        self.budget = (self.budget + EXPLORE_SHARE * seconds).min(MOST_BUDGET);
        self.decisions = self.decisions.wrapping_add(1);
        if !self.decisions.is_multiple_of(EXPLORE_EVERY) {
            return best;
        }
        let (lowest, own) = (
            size_class(best).saturating_sub(EXPLORE_DEPTH),
            size_class(best),
        );
        let others = size_class(rows) - lowest;
        let Some(step) = self.turn.checked_rem(others) else {
            return best;
        };
        let class = lowest + step;
        let class = if class < own { class } else { class + 1 };
        let other = size_limit(class).min(rows);
        let expected = self.undisturbed(other);
        let expected = expected.map_or(0.0, |(expected, _)| expected);
        let loss = expected - seconds * other as f64 / best as f64;
        if loss > self.budget && loss <= MOST_BUDGET {
            // Saved up for, or the cheap ones alone would ever be tried.
            return best;
        }
        self.turn = self.turn.wrapping_add(1);
        if loss > MOST_BUDGET {
            return best;
        }
        self.budget -= loss.max(0.0);
        other
    }

    /// The known points as (largest rows of the size, time), from small to large.
    pub fn points(&self) -> impl Iterator<Item = (usize, Duration)> + '_ {
        let known = |(class, point): (usize, &Point)| {
            (self.known & (1 << class) != 0).then(|| (size_limit(class), duration(point.seconds)))
        };
        self.points.iter().enumerate().filter_map(known)
    }

    /// Seconds as batches come, and their spread.
    fn disturbed(&self, rows: usize) -> Option<(f64, f64)> {
        let known = self.at(rows, |point| (point.seconds, point.spread))?;
        Some(match self.extrapolated(rows) {
            Some(other) if other.0 < known.0 => other,
            _ => known,
        })
    }

    /// The time of a size that is stale, from the largest smaller one that is not.
    fn extrapolated(&self, rows: usize) -> Option<(f64, f64)> {
        let class = size_class(rows);
        let above = self.known >> class << class;
        if above == 0 || !self.is_stale(above.trailing_zeros() as usize) {
            return None;
        }
        let below = (0..class).rev();
        let fresh = below.filter(|class| self.known & (1 << class) != 0);
        let fresh = fresh.into_iter().find(|class| !self.is_stale(*class))?;
        let point = self.points.get(fresh)?;
        let factor = rows as f64 / point.rows;
        Some((point.seconds * factor, point.spread * factor))
    }

    fn is_stale(&self, class: usize) -> bool {
        let point = self.points.get(class);
        point.is_some_and(|point| self.count.wrapping_sub(point.last) > STALE)
    }

    /// Seconds of an undisturbed batch, and their standard error.
    fn undisturbed(&self, rows: usize) -> Option<(f64, f64)> {
        self.at(rows, |point| {
            let seconds = point.each * self.pace * point.rows;
            (seconds, seconds * point.error(self.count))
        })
    }

    /// Both figures of a point, at a size between the points.
    fn at(&self, rows: usize, figures: impl Fn(&Point) -> (f64, f64)) -> Option<(f64, f64)> {
        let size = rows.max(1) as f64;
        let class = size_class(rows);
        let own = self.points.get(class)?;
        let is_known = self.known & (1 << class) != 0;
        if is_known && own.rows == size {
            return Some(figures(own));
        }
        let mut lower = self.known & ((1 << class) - 1);
        let mut upper = self.known >> class >> 1 << class << 1;
        if is_known && own.rows < size {
            lower |= 1 << class;
        } else if is_known {
            upper |= 1 << class;
        }
        let lower = lower
            .checked_ilog2()
            .and_then(|c| self.points.get(c as usize));
        let upper = (upper != 0)
            .then(|| self.points.get(upper.trailing_zeros() as usize))
            .flatten();
        match (lower, upper) {
            (None, None) => None,
            (None, Some(only)) => Some(figures(only)),
            (Some(only), None) => {
                let (factor, (seconds, spread)) = (size / only.rows, figures(only));
                Some((seconds * factor, spread * factor))
            }
            (Some(a), Some(b)) => {
                let ((low, low_spread), (high, high_spread)) = (figures(a), figures(b));
                // Kernels change their strategy at some size: what holds in the own class is not
                // spoilt by the next.
                let factor = size / a.rows;
                if size_class(a.rows as usize) == class && low * factor < high {
                    return Some((low * factor, low_spread * factor));
                }
                let share = (size - a.rows) / (b.rows - a.rows);
                let between = |a: f64, b: f64| a + share * (b - a);
                Some((between(low, high), between(low_spread, high_spread)))
            }
        }
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    #[test]
    fn classes_hold_their_largest_size() {
        let limits: Vec<usize> = (0..10).map(size_limit).collect();
        assert_eq!(limits, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]);
        for rows in 1..5_000 {
            let class = size_class(rows);
            assert!(rows <= size_limit(class), "{rows}");
            assert!(class == 0 || rows > size_limit(class - 1), "{rows}");
        }
        assert_eq!(size_class(0), 0);
        assert_eq!(size_class(usize::MAX), SIZES - 1);
    }

    #[test]
    fn nothing_is_known_at_first() {
        let mut curve = CostCurve::default();
        assert_eq!(curve.estimate(1), None);
        assert_eq!(curve.choose(100), 100);
        assert_eq!(curve.rows_within(Duration::MAX, 100), 0);
    }

    #[test]
    fn an_unseen_size_is_bounded_by_its_neighbours() {
        let mut curve = CostCurve::default();
        curve.learn(4, micros(40));
        assert_eq!(curve.estimate(1), Some(micros(40)));
        assert_eq!(curve.estimate(16), Some(micros(160)));
        curve.learn(16, micros(60));
        assert_eq!(curve.estimate(10), Some(micros(50)));
        assert_eq!(
            curve.estimate(usize::MAX / 2).map(|t| t > micros(60)),
            Some(true)
        );
        assert_eq!(
            curve.rows_within(micros(40), 100),
            0,
            "one sample is not sure"
        );
        assert_eq!(curve.rows_within(micros(60), 100), 6);
    }

    #[test]
    fn a_first_batch_that_was_disturbed_closes_no_size_for_good() {
        let mut curve = CostCurve::default();
        curve.learn(4, micros(40));
        curve.learn(8, micros(15_000));
        assert_eq!(curve.estimate(8), Some(micros(320)));
        curve.learn(8, micros(70));
        assert_eq!(curve.estimate(8), Some(micros(70)));
    }

    #[test]
    fn a_size_that_no_deadline_allows_is_tried_again() {
        let mut curve = CostCurve::default();
        for _ in 0..100 {
            curve.learn(4, micros(40));
            curve.learn(8, micros(5_000));
        }
        assert!(curve.rows_within(micros(1_000), 8) < 8);
        for _ in 0..=STALE {
            curve.learn(4, micros(40));
        }
        assert_eq!(curve.rows_within(micros(1_000), 8), 8);
        curve.learn(8, micros(5_000));
        assert!(curve.rows_within(micros(1_000), 8) < 8, "it was no better");
    }

    #[test]
    fn one_outlier_is_hardly_believed_and_a_change_is() {
        let mut curve = CostCurve::default();
        curve.learn(1, micros(8));
        curve.learn(1, micros(8_000));
        assert_eq!(curve.estimate(1), Some(micros(11)));
        assert!(curve.bound(1) > curve.estimate(1));
        assert!(curve.work(1) < curve.estimate(1));
        for _ in 0..60 {
            curve.learn(1, micros(8_000));
        }
        let learned = curve.estimate(1).unwrap_or_default();
        assert!(learned > micros(7_000), "{learned:?}");
    }

    #[test]
    fn a_batch_beyond_the_sweet_spot_is_run_as_several() {
        let mut curve = CostCurve::default();
        for (rows, time) in [(1, 10), (32, 64), (64, 128), (128, 512)] {
            curve.learn(rows, micros(time));
        }
        assert_eq!(curve.best(128), 32);
        assert_eq!(curve.best(64), 64, "equal throughput is no reason to split");
        // 32 and 1 would take 74 where 33 take 66.
        assert_eq!(curve.best(33), 33);
    }

    #[test]
    fn other_sizes_are_tried_now_and_then() {
        let mut curve = CostCurve::default();
        curve.learn(256, micros(256));
        let mut other = Vec::new();
        while other.len() < 6 {
            other.extend(Some(curve.choose(256)).filter(|rows| *rows < 256));
        }
        assert_eq!(other, [32, 48, 64, 96, 128, 192]);
    }

    #[test]
    fn exploring_costs_a_hundredth() {
        let mut curve = CostCurve::default();
        let time = |rows: usize| micros(if rows <= 64 { 64 } else { 4 * rows as u64 });
        for rows in [64, 128, 256] {
            curve.learn(rows, time(rows));
        }
        let (mut spent, mut rows) = (Duration::ZERO, 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20_000 {
            let chosen = curve.choose(256);
            curve.learn(chosen, time(chosen));
            seen.insert(chosen);
            spent += time(chosen);
            rows += chosen;
        }
        let share = rows as f64 / 1e6 / spent.as_secs_f64();
        assert!(share > 0.98, "{share} of the best throughput");
        assert!(
            seen.contains(&48) && seen.contains(&96) && seen.contains(&256),
            "{seen:?}"
        );
    }
}
