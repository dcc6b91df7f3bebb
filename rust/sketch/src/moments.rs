//! Count, mean, variance and range in one pass.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, document};

/// Values summed in lanes before they meet the running figures: a block stays in the first cache.
const BLOCK: usize = 256;
const LANES: usize = 8;

/// Count, mean, variance, least and greatest of a stream of floats.
///
/// NaN is missing and counted; the infinities are counted apart (`infinite`) and enter no figure,
/// for a single one would make every figure meaningless. Merging (Chan, Golub and LeVeque 1979)
/// agrees with one pass over all values within 1e-12 relative, in any order. Values so large that
/// their differences overflow a float (above 1e154) make the variance infinite or NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Moments {
    count: u64,
    missing: u64,
    infinite: u64,
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    count: u64,
    infinite: u64,
    /// JSON has no NaN and no infinity: what overflowed is null.
    m2: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    min: Option<f64>,
    missing: u64,
    version: u32,
}

impl Default for Moments {
    fn default() -> Self {
        Self::new()
    }
}

impl Moments {
    /// The moments of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            missing: 0,
            infinite: 0,
            mean: 0.0,
            m2: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Takes in one value (Welford 1962).
    #[inline]
    pub fn update(&mut self, value: f64) {
        if !value.is_finite() {
            if value.is_nan() {
                self.missing += 1;
            } else {
                self.infinite += 1;
            }
            return;
        }
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.m2 += delta * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes in many values; five times as fast as one by one.
    pub fn update_many(&mut self, values: &[f64]) {
        if values.len() < LANES {
            values.iter().for_each(|&value| self.update(value));
            return;
        }
        for block in values.chunks(BLOCK) {
            self.merge(&Self::of_block(block));
        }
    }

    /// Takes in `count` missing values.
    pub fn update_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// The corrected two-pass sums of a block that stays in cache, in lanes that the compiler
    /// turns into vector registers. Sums are taken from a value of the block, so that a large
    /// common offset (timestamps) costs no digits.
    fn of_block(block: &[f64]) -> Self {
        let shift = block.iter().copied().find(|x| x.is_finite()).unwrap_or(0.0);
        let (mut counts, mut sums) = ([0u64; LANES], [0.0f64; LANES]);
        let (mut mins, mut maxs) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let mut missing = [0u64; LANES];
        let (parts, rest) = block.as_chunks::<LANES>();
        let mut tail = [f64::INFINITY; LANES];
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        // The places of the tail that hold no value are infinite, so they enter no sum.
        let padding = (LANES - rest.len()) as u64;
        for part in parts.iter().chain(std::iter::once(&tail)) {
            for lane in 0..LANES {
                let x = part[lane];
                let finite = x.abs() < f64::INFINITY;
                counts[lane] += u64::from(finite);
                missing[lane] += u64::from(x.is_nan());
                sums[lane] += if finite { x - shift } else { 0.0 };
                mins[lane] = if finite && x < mins[lane] {
                    x
                } else {
                    mins[lane]
                };
                maxs[lane] = if finite && x > maxs[lane] {
                    x
                } else {
                    maxs[lane]
                };
            }
        }
        let count: u64 = counts.iter().sum();
        let missing: u64 = missing.iter().sum();
        let seen = (parts.len() + 1) as u64 * LANES as u64;
        let infinite = seen - count - missing - padding;
        if count == 0 {
            return Self {
                missing,
                infinite,
                ..Self::new()
            };
        }
        let offset = sums.iter().sum::<f64>() / count as f64;
        let (mut squares, mut errors) = ([0.0f64; LANES], [0.0f64; LANES]);
        for part in parts.iter().chain(std::iter::once(&tail)) {
            for lane in 0..LANES {
                let x = part[lane];
                let finite = x.abs() < f64::INFINITY;
                let delta = if finite { x - shift - offset } else { 0.0 };
                squares[lane] += delta * delta;
                errors[lane] += delta;
            }
        }
        let error: f64 = errors.iter().sum();
        Self {
            count,
            missing,
            infinite,
            mean: shift + offset,
            m2: (squares.iter().sum::<f64>() - error * error / count as f64).max(0.0),
            min: mins.into_iter().fold(f64::INFINITY, f64::min),
            max: maxs.into_iter().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Takes in all that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.missing += other.missing;
        self.infinite += other.infinite;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            let (missing, infinite) = (self.missing, self.infinite);
            *self = other.clone();
            (self.missing, self.infinite) = (missing, infinite);
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.mean += delta * (m / (n + m));
        self.m2 += other.m2 + delta * delta * (n * (m / (n + m)));
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Finite values seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Missing values seen.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Infinite values seen.
    #[must_use]
    pub const fn infinite(&self) -> u64 {
        self.infinite
    }

    /// The mean of the finite values; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Squared deviations divided by `count − ddof`; `None` without more than `ddof` values.
    #[must_use]
    pub fn variance(&self, ddof: u64) -> Option<f64> {
        (self.count > ddof).then(|| self.m2 / (self.count - ddof) as f64)
    }

    /// The square root of [`Moments::variance`].
    #[must_use]
    pub fn std(&self, ddof: u64) -> Option<f64> {
        self.variance(ddof).map(f64::sqrt)
    }

    /// The sum of squared deviations from the mean.
    #[must_use]
    pub const fn m2(&self) -> f64 {
        self.m2
    }

    /// The least finite value; `None` without any.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest finite value; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Moments::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("moments", text)
    }
}

impl From<Moments> for Document {
    fn from(moments: Moments) -> Self {
        let finite = |x: f64| (moments.count > 0 && x.is_finite()).then_some(x);
        Self {
            count: moments.count,
            infinite: moments.infinite,
            m2: finite(moments.m2),
            max: finite(moments.max),
            mean: finite(moments.mean),
            min: finite(moments.min),
            missing: moments.missing,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for Moments {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("moments", document.version)?;
        let mut moments = Self {
            count: document.count,
            missing: document.missing,
            infinite: document.infinite,
            ..Self::new()
        };
        if document.count == 0 {
            return Ok(moments);
        }
        let (Some(min), Some(max)) = (document.min, document.max) else {
            return Err(Error::state("moments with values but without min and max"));
        };
        let m2 = document.m2.unwrap_or(f64::NAN);
        if min > max || m2 < 0.0 {
            return Err(Error::state("moments whose figures contradict each other"));
        }
        moments.mean = document.mean.unwrap_or(f64::NAN);
        (moments.m2, moments.min, moments.max) = (m2, min, max);
        Ok(moments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::new();
        moments.update_many(values);
        moments
    }

    fn close(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-12 * scale.max(a.abs()).max(b.abs())
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => -1e6..1e6f64,
            1 => Just(f64::NAN),
            1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
            1 => Just(0.0),
        ]
    }

    proptest! {
        #[test]
        fn merged_pieces_equal_the_whole(values in prop::collection::vec(value(), 0..900), cut in 0.0..1.0f64) {
            let cut = (values.len() as f64 * cut) as usize;
            let (left, right) = (of(&values[..cut]), of(&values[cut..]));
            let whole = of(&values);
            let mut one_by_one = Moments::new();
            values.iter().for_each(|&x| one_by_one.update(x));
            for (a, b) in [(&left, &right), (&right, &left)] {
                let mut merged = a.clone();
                merged.merge(b);
                for other in [&merged, &one_by_one] {
                    prop_assert_eq!((whole.count, whole.missing, whole.infinite), (other.count, other.missing, other.infinite));
                    prop_assert_eq!((whole.min(), whole.max()), (other.min(), other.max()));
                    // The mean is compared on the scale of the values: near zero it has no digits of its own.
                    let scale = whole.std(0).unwrap_or(0.0);
                    prop_assert!(close(whole.mean, other.mean, scale), "{} {}", whole.mean, other.mean);
                    prop_assert!(close(whole.m2, other.m2, 0.0) , "{} {}", whole.m2, other.m2);
                }
            }
        }

        #[test]
        fn state_round_trips(values in prop::collection::vec(value(), 0..50)) {
            let moments = of(&values);
            prop_assert_eq!(&Moments::from_json(&moments.to_json()).unwrap(), &moments);
        }
    }

    #[test]
    fn a_large_offset_costs_no_digits() {
        // Timestamps of 2013 in microseconds, one minute apart.
        let values: Vec<f64> = (0..10_000).map(|i| 1.37e15 + f64::from(i) * 6e7).collect();
        let moments = of(&values);
        let due = 6e7f64.powi(2) * (1e8 - 1.0) / 12.0;
        assert!(close(moments.variance(0).unwrap(), due, 0.0));
        assert!(close(
            moments.mean().unwrap(),
            1.37e15 + 9_999.0 / 2.0 * 6e7,
            0.0
        ));
    }

    #[test]
    fn nothing_has_no_figures() {
        let moments = of(&[f64::NAN; 20]);
        assert_eq!((moments.count(), moments.missing()), (0, 20));
        assert_eq!(
            (moments.mean(), moments.variance(0), moments.min()),
            (None, None, None)
        );
        assert_eq!(of(&[2.0]).variance(1), None);
    }

    #[test]
    fn overflow_is_written_and_read() {
        let moments = of(&[1e300, -1e300]);
        let again = Moments::from_json(&moments.to_json()).unwrap();
        assert_eq!((again.min(), again.max()), (Some(-1e300), Some(1e300)));
        assert!(!again.variance(0).unwrap().is_finite());
    }

    #[test]
    fn a_future_version_is_refused_with_the_mend() {
        let text = of(&[1.0])
            .to_json()
            .replace("\"version\":1", "\"version\":2");
        assert!(
            Moments::from_json(&text)
                .unwrap_err()
                .message
                .contains("upgrade tidegate")
        );
    }
}
