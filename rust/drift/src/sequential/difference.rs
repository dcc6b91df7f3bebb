//! How much higher a figure is in one stream than in another, both of them samples.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::document::{self, Versioned};
use super::interval::{Interval, rows_to_go};
use super::mean::Mean;
use super::mixture::falls_below;
use super::proportion::Proportion;
use super::quantile::Quantile;
use super::stream::{Harmless, Stream, either};

/// Steps of a golden-section search: to a billionth of the range.
const STEPS: u32 = 44;
/// (√5 − 1) / 2.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The figure of `live` minus that of `base`: of a new version and the old one, of now and the training.
///
/// If the difference is at most `d` and the figure of `base` is `θ`, that of `live` is at most `θ + d`:
/// the product of the e-values against both is one for this `θ`, and its least over all `θ` is one for
/// the hypothesis (Wasserman, Ramdas and Balakrishnan 2020). Either stream may grow at any time, and
/// `base` may be a sample that grows no more: its error is in the test. Non-inferiority with a margin
/// is evidence against `AtLeast(margin)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference<S> {
    /// What is compared with.
    pub base: S,
    /// What is compared.
    pub live: S,
}

/// A figure of which differences are tested.
pub trait Comparable: Stream {
    /// `ln` of the e-value against "the figure of `live` is at most that of `base` plus `by`", as a
    /// function of `by` and of the factor of [`Stream`].
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a>;

    /// The least and the greatest difference to look for.
    fn reach(base: &Self, live: &Self) -> (f64, f64);
}

/// The least over a common figure `θ` within `bounds` of a sum of e-values (in logarithms) that is
/// convex in it; the figure of `live`, `θ + by`, is within the bounds too.
fn least_convex((low, high): (f64, f64), by: f64, at: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low.max(low - by), high);
    if low > high {
        return f64::INFINITY;
    }
    let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_left, mut at_right) = (at(left), at(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = at(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = at(right);
        }
    }
    at_left.min(at_right)
}

fn reach_of_bounds<S: Stream>(base: &S) -> (f64, f64) {
    let (low, high) = base.bounds();
    (low - high, high - low)
}

impl Comparable for Mean {
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        Box::new(move |by, factor| {
            least_convex(base.bounds(), by, |theta| {
                base.log_e_below(theta, factor) + live.log_e_above(theta + by, factor)
            })
        })
    }

    fn reach(base: &Self, _: &Self) -> (f64, f64) {
        reach_of_bounds(base)
    }
}

impl Comparable for Proportion {
    /// What does not depend on the common figure is computed once.
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        Box::new(move |by, factor| {
            let ((_, no), (yes, _)) = (base.sides(factor), live.sides(factor));
            least_convex(base.bounds(), by, |theta| {
                no.log_e_above(1.0 - theta) + yes.log_e_above(theta + by)
            })
        })
    }

    fn reach(base: &Self, _: &Self) -> (f64, f64) {
        reach_of_bounds(base)
    }
}

impl Comparable for Quantile {
    /// The evidence of `base` is a step function of `θ` that rises right above its values, and that
    /// of `live` falls: the least is at one of the values, or beyond all. Where either alone is more
    /// than what was found, less the least that the other can be, nothing is sought.
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        let (level, old, new) = (base.level(), base.ranks(), live.ranks());
        let values: Vec<f64> = old.steps.iter().map(|(value, _)| *value).collect();
        Box::new(move |by, factor| {
            let below = |theta: f64| old.log_e_below(level, theta, factor);
            let above = |theta: f64| new.log_e_above(level, theta + by, factor);
            let both = |theta: f64| below(theta) + above(theta);
            // Where the two cross is near the least.
            let cross = values.partition_point(|&theta| below(theta) < above(theta));
            let near = values.get(cross).copied().unwrap_or(f64::INFINITY);
            let found = both(near).min(both(f64::INFINITY));
            // Below 0 the evidence of one side need not be in order.
            let most_old = (found - new.least(factor)).max(0.0);
            let most_new = (found - old.least(factor)).max(0.0);
            let begin = values.partition_point(|&theta| above(theta) > most_new);
            let rest = values.get(begin..).unwrap_or_default();
            let end = begin + rest.partition_point(|&theta| below(theta) <= most_old);
            let sought = values.get(begin..end).unwrap_or_default();
            sought
                .iter()
                .map(|&theta| both(theta))
                .fold(found, f64::min)
        })
    }

    fn reach(base: &Self, live: &Self) -> (f64, f64) {
        let ((low, high), (least, greatest)) = (base.range(), live.range());
        (least - high, greatest - low)
    }
}

impl<S: Comparable> Difference<S> {
    /// A difference of two streams.
    pub const fn new(base: S, live: S) -> Self {
        Self { base, live }
    }
}

impl<S: Comparable> Stream for Difference<S> {
    fn rows(&self) -> u64 {
        self.base.rows() + self.live.rows()
    }

    fn estimate(&self) -> Option<f64> {
        Some(self.live.estimate()? - self.base.estimate()?)
    }

    fn bounds(&self) -> (f64, f64) {
        S::reach(&self.base, &self.live)
    }

    fn log_e_above(&self, bound: f64, factor: f64) -> f64 {
        S::apart(&self.base, &self.live)(bound, factor)
    }

    fn log_e_below(&self, bound: f64, factor: f64) -> f64 {
        S::apart(&self.live, &self.base)(-bound, factor)
    }

    /// As the provided one, with what does not depend on the factor made once.
    fn rows_to_go(&self, harmless: Harmless, level: f64) -> Option<u64> {
        let (above, below) = (
            S::apart(&self.base, &self.live),
            S::apart(&self.live, &self.base),
        );
        rows_to_go(self.rows(), level, |factor| match harmless {
            Harmless::AtMost(bound) => above(bound, factor),
            Harmless::AtLeast(bound) => below(-bound, factor),
            Harmless::Between(low, high) => either(below(-low, factor), above(high, factor)),
        })
    }

    fn interval(&self, level: f64) -> Interval {
        let (low, high) = self.bounds();
        if !(low.is_finite() && high.is_finite()) {
            return Interval {
                lower: f64::NEG_INFINITY,
                upper: f64::INFINITY,
            };
        }
        let (above, below) = (
            S::apart(&self.base, &self.live),
            S::apart(&self.live, &self.base),
        );
        Interval {
            lower: falls_below((low, high), level, |x| above(x, 1.0)),
            upper: -falls_below((-high, -low), level, |x| below(x, 1.0)),
        }
    }
}

/// States that can be half of a difference.
trait Half: Versioned {
    /// What a difference of two is called.
    const DIFFERENCE: &'static str;
}

impl Half for Mean {
    const DIFFERENCE: &'static str = "a sequential difference of means";
}

impl Half for Proportion {
    const DIFFERENCE: &'static str = "a sequential difference of proportions";
}

impl Half for Quantile {
    const DIFFERENCE: &'static str = "a sequential difference of quantiles";
}

impl<S: Half> Versioned for Difference<S> {
    const WHAT: &'static str = S::DIFFERENCE;

    fn is_sound(&self) -> bool {
        self.base.is_sound() && self.live.is_sound()
    }
}

#[expect(private_bounds, reason = "the three figures are listed above")]
impl<S: Half> Difference<S> {
    /// Versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Difference::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantile(level: f64, values: &[f64]) -> Quantile {
        let mut quantile = Quantile::new(level).unwrap();
        quantile.update_many(values);
        quantile
    }

    /// The least over every value, as it is defined.
    fn sought_everywhere(old: &Quantile, new: &Quantile, by: f64) -> f64 {
        let (level, a, b) = (old.level(), old.ranks(), new.ranks());
        let values = a.steps.iter().map(|(value, _)| *value);
        values
            .chain([f64::INFINITY])
            .map(|theta| a.log_e_below(level, theta, 1.0) + b.log_e_above(level, theta + by, 1.0))
            .fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn what_is_not_sought_is_not_the_least(
            old in prop::collection::vec(prop_oneof![0.0..9.0f64, Just(3.0), Just(f64::INFINITY)], 0..600),
            new in prop::collection::vec(prop_oneof![0.0..9.0f64, Just(3.0)], 0..600),
            shift in -5.0..5.0f64,
            by in -6.0..6.0f64,
            level in prop_oneof![Just(0.5), Just(0.9), Just(0.99)],
        ) {
            let new: Vec<f64> = new.iter().map(|value| value + shift).collect();
            let (old, new) = (quantile(level, &old), quantile(level, &new));
            let found = Quantile::apart(&old, &new)(by, 1.0);
            let due = sought_everywhere(&old, &new, by);
            prop_assert!((found - due).abs() < 1e-9, "{found} {due}");
        }

        #[test]
        fn stretched_quantiles_are_those_of_stretched_values(
            values in prop::collection::vec(0.0..9.0f64, 1..400),
            ratio in 0.5..3.0f64,
            plus in 0.0..2.0f64,
        ) {
            let stretched: Vec<f64> =
                values.iter().map(|x| (x * ratio).max(x + plus)).collect();
            let found = quantile(0.9, &values).stretched(ratio, plus).unwrap();
            prop_assert_eq!(found, quantile(0.9, &stretched));
        }
    }

    #[test]
    fn a_stretch_must_keep_the_order() {
        let values = quantile(0.5, &[1.0, 2.0]);
        for (ratio, plus) in [
            (0.0, 1.0),
            (-1.0, 0.0),
            (f64::NAN, 0.0),
            (1.0, f64::INFINITY),
        ] {
            assert!(values.stretched(ratio, plus).is_err(), "{ratio} {plus}");
        }
        assert!(quantile(0.5, &[1e308]).stretched(10.0, 0.0).is_err());
    }
}
