//! How much higher a figure is in one stream than in another, both of them samples.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::document::{self, Versioned};
use super::interval::Interval;
use super::mean::Mean;
use super::mixture::falls_below;
use super::proportion::Proportion;
use super::quantile::Quantile;
use super::stream::Stream;

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

/// The least over a common figure `θ`; both e-values are convex in it (in logarithms).
fn apart_convex<'a, S: Stream>(base: &'a S, live: &'a S) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
    Box::new(move |by, factor| {
        let (low, high) = base.bounds();
        // The figure of `live` is within the bounds too.
        let (mut low, mut high) = (low.max(low - by), high);
        if low > high {
            return f64::INFINITY;
        }
        let at =
            |theta: f64| base.log_e_below(theta, factor) + live.log_e_above(theta + by, factor);
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
    })
}

fn reach_of_bounds<S: Stream>(base: &S) -> (f64, f64) {
    let (low, high) = base.bounds();
    (low - high, high - low)
}

impl Comparable for Mean {
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        apart_convex(base, live)
    }

    fn reach(base: &Self, _: &Self) -> (f64, f64) {
        reach_of_bounds(base)
    }
}

impl Comparable for Proportion {
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        apart_convex(base, live)
    }

    fn reach(base: &Self, _: &Self) -> (f64, f64) {
        reach_of_bounds(base)
    }
}

impl Comparable for Quantile {
    /// The evidence of `base` is a step function of `θ` that rises right above its values, and that
    /// of `live` falls: the least is at one of the values, or beyond all.
    fn apart<'a>(base: &'a Self, live: &'a Self) -> Box<dyn Fn(f64, f64) -> f64 + 'a> {
        let (level, old, new) = (base.level(), base.ranks(), live.ranks());
        Box::new(move |by, factor| {
            let values = old.steps.iter().map(|(value, _)| *value);
            values
                .chain([f64::INFINITY])
                .map(|theta| {
                    old.log_e_below(level, theta, factor)
                        + new.log_e_above(level, theta + by, factor)
                })
                .fold(f64::INFINITY, f64::min)
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
