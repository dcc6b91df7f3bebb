//! Sums that do not depend on the order or on the pieces: kept in twice the precision of a float,
//! so that rounding to one float at the end gives the same whichever way the terms came.
//!
//! Dekker, "A floating-point technique for extending the available precision" (1971).

/// A sum as a float and what rounding took from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// Adds a number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        let sum = self.high + value;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (value - part);
        self.set(sum, self.low + error);
    }

    /// Adds the square of a number.
    #[inline]
    pub(super) fn add_square(&mut self, value: f64) {
        let square = value * value;
        self.add(square);
        self.set(self.high, self.low + value.mul_add(value, -square));
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: Self) {
        self.add(other.high);
        self.set(self.high, self.low + other.low);
    }

    #[inline]
    fn set(&mut self, high: f64, low: f64) {
        self.high = high + low;
        self.low = low - (self.high - high);
    }

    /// The sum as one float.
    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }

    /// This sum less `factor` times another.
    fn less(mut self, other: Self, factor: f64) -> f64 {
        let product = other.high * factor;
        self.add(-product);
        let rest = other.high.mul_add(factor, -product) + other.low * factor;
        self.high + (self.low - rest)
    }

    /// This sum divided by a number, with what the quotient lacks.
    fn quotient(self, by: f64) -> Self {
        let first = self.value() / by;
        let second = self.less(
            Self {
                high: first,
                low: 0.0,
            },
            by,
        ) / by;
        Self {
            high: first,
            low: second,
        }
    }
}

/// Count, mean and variance of what one category, or all, saw of the target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stat {
    pub count: u64,
    sum: Sum,
    squares: Sum,
}

impl Stat {
    /// What a target of 0 and 1 with so many values, so many of them 1, would be.
    pub(super) fn of_ones(count: u64, ones: u64) -> Self {
        let sum = Sum {
            high: ones as f64,
            low: 0.0,
        };
        Self {
            count,
            sum,
            squares: sum,
        }
    }

    /// Takes in one value of the target.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.squares.add_square(value);
    }

    /// Takes in what another has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.merge(other.sum);
        self.squares.merge(other.squares);
    }

    /// The sum of the target.
    pub(super) fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// The mean of the target; NaN without values.
    pub(super) fn mean(&self) -> f64 {
        self.sum.value() / self.count as f64
    }

    /// The variance of a population; NaN without values.
    pub(super) fn variance(&self) -> f64 {
        /// Of what the squares add up to: below, a spread is what rounding left.
        const NOTHING: f64 = 1e-28;
        let count = self.count as f64;
        let mean = self.sum.quotient(count);
        let spread = self.squares.less(self.sum, mean.high) - self.sum.value() * mean.low;
        if spread <= self.squares.value() * NOTHING {
            return 0.0;
        }
        spread / count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stat(values: &[f64]) -> Stat {
        let mut stat = Stat::default();
        values.iter().for_each(|&value| stat.add(value));
        stat
    }

    proptest! {
        #[test]
        fn pieces_and_order_do_not_matter(
            values in prop::collection::vec(-1e9..1e9f64, 1..200),
            cut in 0usize..200,
        ) {
            let whole = stat(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let (mut left, right) = (stat(left), stat(right));
            left.merge(&right);
            let mut turned = values.clone();
            turned.reverse();
            for other in [left, stat(&turned)] {
                prop_assert_eq!(whole.count, other.count);
                prop_assert_eq!(whole.sum().to_bits(), other.sum().to_bits());
                prop_assert!((whole.variance() - other.variance()).abs() <= 1e-13 * whole.variance());
            }
        }
    }

    #[test]
    fn the_variance_survives_a_large_mean() {
        let near: Vec<f64> = (0..1000).map(|i| 1e12 + f64::from(i % 2)).collect();
        assert!((stat(&near).variance() - 0.25).abs() < 1e-12);
        assert_eq!(stat(&[0.1; 999]).variance(), 0.0);
        assert_eq!(stat(&[0.0; 9]).variance(), 0.0);
        assert!(stat(&[]).mean().is_nan());
    }
}
