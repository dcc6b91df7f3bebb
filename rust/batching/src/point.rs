//! What is known of the batches of one size.

/// Weight of the newest sample in the mean: a change of the model's speed is believed after some
/// ten batches, one descheduled batch is not.
const WEIGHT: f64 = 0.125;

/// A sample counts for at most so many times what was known: a batch during which the thread
/// was not running must not make the model look slow for the next hundred. If what was known is
/// so many times the sample, then that was the disturbed one.
const MOST_SURPRISE: f64 = 4.0;

/// The deviation that one sample alone is taken to have, as a share of it.
const UNSURE: f64 = 0.125;

/// The undisturbed time is the mean of at most so many batches; older ones are forgotten.
const MOST_SAMPLES: u32 = 16;

/// Mean deviations from the undisturbed time beyond which a batch was disturbed.
const DISTURBED: f64 = 3.0;

/// The least deviation, as a share: without any, no change would ever be believed.
const LEAST_SCATTER: f64 = 0.01;

/// A batch so much faster than what was known, as a share, shows that all before were disturbed:
/// nothing makes a batch faster by accident.
const RESTART: f64 = 0.25;

/// After so many batches of other sizes half of what is known of this one is forgotten.
const FORGET: u32 = 256;

/// The part of a surprise that says something of this size alone; the rest is the machine's, which
/// is slower or faster for all sizes.
const OWN: f64 = 0.25;

/// So many samples are this size's alone.
const OWN_SAMPLES: u32 = 4;

/// After so many batches of other sizes, which have told of the machine, a surprise is this
/// size's alone.
const ABSENT: u32 = 32;

/// The time of batches of one size, told twice: as they come, for all that depends on deadlines,
/// and undisturbed, for comparing sizes. What disturbs (a descheduled thread, another program on
/// the core) is many times larger than what sizes differ by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Point {
    pub rows: f64,
    /// The mean that forgets, in seconds.
    pub seconds: f64,
    /// Mean deviation of `seconds`.
    pub spread: f64,
    /// Seconds a row of an undisturbed batch, in units of the curve's pace.
    pub each: f64,
    /// Mean deviation of `each`, as a share of it.
    scatter: f64,
    samples: u32,
    /// The count of all batches when one of this size last ran.
    pub last: u32,
}

impl Point {
    /// From the first batch of this size.
    pub fn new(rows: f64, seconds: f64, pace: f64, count: u32) -> Self {
        Self {
            rows,
            seconds,
            spread: seconds * UNSURE,
            each: seconds / rows / pace,
            scatter: UNSURE,
            samples: 1,
            last: count,
        }
    }

    /// Takes notice of a batch; gives the factor by which the pace changes.
    pub fn learn(&mut self, rows: f64, seconds: f64, pace: f64, count: u32) -> f64 {
        if seconds * MOST_SURPRISE < self.seconds {
            *self = Self::new(rows, seconds, pace, count);
            return 1.0;
        }
        self.mean(rows, seconds);
        self.undisturbed(seconds / rows / pace, count)
    }

    fn mean(&mut self, rows: f64, seconds: f64) {
        let seconds = seconds.min(self.seconds * MOST_SURPRISE);
        self.spread += WEIGHT * ((seconds - self.seconds).abs() - self.spread);
        self.seconds += WEIGHT * (seconds - self.seconds);
        self.rows += WEIGHT * (rows - self.rows);
    }

    fn undisturbed(&mut self, each: f64, count: u32) -> f64 {
        let absent = count.wrapping_sub(self.last) > ABSENT;
        self.samples = self.samples_at(count);
        self.last = count;
        let alone = absent || self.samples <= OWN_SAMPLES;
        let surprise = each / self.each - 1.0;
        if -surprise > RESTART.max(DISTURBED * self.scatter) {
            if !alone {
                return 1.0 + surprise;
            }
            self.each = each;
            self.scatter = UNSURE;
            self.samples = 1;
            return 1.0;
        }
        let surprise = surprise.min(DISTURBED * self.scatter.max(LEAST_SCATTER));
        self.samples = (self.samples + 1).min(MOST_SAMPLES);
        let weight = 1.0 / f64::from(self.samples);
        self.scatter += weight.max(WEIGHT) * (surprise.abs() - self.scatter);
        let own = if alone { 1.0 } else { OWN };
        self.each *= 1.0 + weight * own * surprise;
        1.0 + weight * (1.0 - own) * surprise
    }

    fn samples_at(&self, count: u32) -> u32 {
        let halvings = count.wrapping_sub(self.last) / FORGET;
        self.samples.checked_shr(halvings).unwrap_or(0).max(1)
    }

    /// The standard error of `each`, as a share of it: mean deviation times the root of π / 2 is
    /// the standard deviation of what is normally distributed.
    pub fn error(&self, count: u32) -> f64 {
        1.25 * self.scatter / f64::from(self.samples_at(count)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns the same time again and again; gives the pace at the end.
    fn repeat(point: &mut Point, seconds: f64, times: u32, pace: f64) -> f64 {
        (0..times).fold(pace, |pace, _| {
            let count = point.last + 1;
            pace * point.learn(8.0, seconds, pace, count)
        })
    }

    #[test]
    fn a_disturbed_first_batch_is_forgotten_with_the_next() {
        let mut point = Point::new(8.0, 8e-3, 1.0, 1);
        repeat(&mut point, 8e-5, 1, 1.0);
        assert_eq!((point.seconds, point.each), (8e-5, 1e-5));
    }

    #[test]
    fn disturbed_batches_do_not_count_as_slow_ones() {
        let mut point = Point::new(8.0, 8e-5, 1.0, 1);
        let mut pace = repeat(&mut point, 8e-5, 50, 1.0);
        for _ in 0..20 {
            pace = repeat(&mut point, 4e-3, 1, pace);
            pace = repeat(&mut point, 8e-5, 19, pace);
        }
        let each = point.each * pace;
        assert!((0.95e-5..1.05e-5).contains(&each), "{each}");
        assert!(
            point.seconds + 3.0 * point.spread > 9e-5,
            "{}",
            point.seconds
        );
    }

    #[test]
    fn a_slower_machine_is_slower_for_all_sizes() {
        let mut point = Point::new(8.0, 8e-5, 1.0, 1);
        let mut pace = repeat(&mut point, 8e-5, 50, 1.0);
        pace = repeat(&mut point, 16e-5, 100, pace);
        let each = point.each * pace;
        assert!((1.9e-5..2.1e-5).contains(&each), "{each}");
        assert!(pace > 1.6, "{pace}");
        // And as fast as before at once.
        pace = repeat(&mut point, 8e-5, 1, pace);
        assert!(point.each * pace < 1.1e-5, "{}", point.each * pace);
    }

    #[test]
    fn what_has_not_run_for_long_is_less_sure() {
        let mut point = Point::new(8.0, 8e-5, 1.0, 1);
        for times in [1.0, 1.1, 0.9, 1.05, 0.95, 1.1, 0.9] {
            repeat(&mut point, 8e-5 * times, 1, 1.0);
        }
        let now = point.error(point.last);
        assert!(now > 0.0 && point.error(point.last + 3 * FORGET) > 1.5 * now);
    }
}
