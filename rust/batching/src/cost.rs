//! What a batch of a given size costs, learned from the batches that ran.

use std::time::Duration;

/// Buckets of the curve: sizes up to 1, 2, 4, … 2^20 rows, the last also for all above.
const BUCKETS: usize = 21;

/// Weight of the newest sample: a change of the model's speed is believed after some ten batches,
/// one descheduled batch is not.
const WEIGHT: f64 = 0.125;

/// An exponentially weighted mean of the run time for each power-of-two size of batch.
///
/// Models differ: of twenty-fold batching gains and of none. So the sizes are learned apart and
/// an unseen size is bounded from its neighbours: by the next larger size (a batch does not get
/// dearer by getting smaller), or by the next smaller one in proportion (it never gains less than
/// nothing from batching).
#[derive(Clone, Debug, Default)]
pub struct CostCurve {
    seconds: [Option<f64>; BUCKETS],
}

/// The bucket whose upper bound is the smallest power of two that holds `rows`.
pub(crate) fn bucket(rows: usize, buckets: usize) -> usize {
    let exponent = rows
        .max(1)
        .checked_next_power_of_two()
        .map_or(usize::MAX, |power| power.trailing_zeros() as usize);
    exponent.min(buckets - 1)
}

impl CostCurve {
    /// Takes notice that a batch of `rows` rows took `time`.
    pub fn learn(&mut self, rows: usize, time: Duration) {
        let sample = time.as_secs_f64();
        if let Some(mean) = self.seconds.get_mut(bucket(rows, BUCKETS)) {
            *mean = Some(mean.map_or(sample, |old| old + WEIGHT * (sample - old)));
        }
    }

    /// What a batch of `rows` rows is likely to take at most; nothing while no batch has run.
    #[must_use]
    pub fn estimate(&self, rows: usize) -> Option<Duration> {
        let index = bucket(rows, BUCKETS);
        let (below, from) = self.seconds.split_at(index);
        let larger = from.iter().flatten().next().copied();
        let smaller = || {
            let known = |(i, mean): (usize, &Option<f64>)| mean.map(|m| (i, m));
            below
                .iter()
                .enumerate()
                .rev()
                .find_map(known)
                .map(|(i, mean)| {
                    let bound = (1_usize << i) as f64;
                    mean * rows as f64 / bound
                })
        };
        larger
            .or_else(smaller)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_upper_bound() {
        let buckets: Vec<usize> = [0, 1, 2, 3, 4, 5, 8, 9].map(|rows| bucket(rows, 21)).into();
        assert_eq!(buckets, [0, 0, 1, 2, 2, 3, 3, 4]);
        assert_eq!(bucket(usize::MAX, 21), 20);
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(CostCurve::default().estimate(1), None);
    }

    #[test]
    fn an_unseen_size_is_bounded_by_its_neighbours() {
        let mut curve = CostCurve::default();
        curve.learn(4, Duration::from_micros(40));
        assert_eq!(curve.estimate(1), Some(Duration::from_micros(40)));
        assert_eq!(curve.estimate(16), Some(Duration::from_micros(160)));
        curve.learn(16, Duration::from_micros(60));
        assert_eq!(curve.estimate(8), Some(Duration::from_micros(60)));
    }

    #[test]
    fn one_outlier_weighs_an_eighth() {
        let mut curve = CostCurve::default();
        curve.learn(1, Duration::from_micros(8));
        curve.learn(1, Duration::from_micros(808));
        assert_eq!(curve.estimate(1), Some(Duration::from_micros(108)));
    }
}
