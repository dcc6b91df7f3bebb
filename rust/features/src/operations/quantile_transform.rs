//! A value's place among those that `fit` saw: 0 to 1, or the same as a deviate of the normal
//! distribution. The numbers are those of scikit-learn's `QuantileTransformer` that is fitted on
//! all rows. Missing values are not learned from; missing in, missing out; a column without a value
//! gives missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};
use tidegate_sketch::Quantiles;

use super::learn::Learn;
use super::normal::deviate;
use crate::expression::{Entry, Expression, number, sketch};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most quantiles that are kept.
const MAX_QUANTILES: usize = 100_000;
/// How near to 0 and 1 a place may come before it becomes a deviate: both ends are infinite.
const ENDS: f64 = 1e-7;

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Distribution {
    #[default]
    Uniform,
    Normal,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuantileTransform {
    #[serde(default)]
    distribution: Distribution,
    /// How many are kept; fewer rows make them fewer.
    #[serde(default = "thousand")]
    quantiles: usize,
}

const fn thousand() -> usize {
    1000
}

/// The quantiles at equal steps from 0 to 1; none when no value was seen.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    quantiles: Vec<f64>,
}

/// `count` places from 0 to 1 in equal steps, to the last bit as NumPy's `linspace`.
fn places(count: usize) -> Vec<f64> {
    let step = 1.0 / (count.max(2) - 1) as f64;
    let mut places: Vec<f64> = (0..count).map(|place| place as f64 * step).collect();
    if let (Some(last), true) = (places.last_mut(), count > 1) {
        *last = 1.0;
    }
    places
}

/// Linear interpolation in rising `xs`, as NumPy's `interp`: beyond both ends it is level, and of
/// equal `xs` the last counts.
#[inline]
fn interpolate(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let above = xs.partition_point(|known| *known <= x);
    let (Some(below), Some(&last)) = (above.checked_sub(1), ys.last()) else {
        return ys.first().copied().unwrap_or(f64::NAN);
    };
    match (xs.get(below..=above), ys.get(below..=above)) {
        (Some([left, right]), Some([low, high])) => {
            if *left == x {
                return *low;
            }
            let slope = (high - low) / (right - left);
            slope * (x - left) + low
        }
        _ => last,
    }
}

impl Expression for QuantileTransform {
    const NAME: &'static str = "quantile_transform";
    type Fit = Learn<Quantiles, State>;

    fn check(&self) -> Result<()> {
        if (1..=MAX_QUANTILES).contains(&self.quantiles) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} quantiles: use 1 to {MAX_QUANTILES}",
            self.quantiles
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn fit(&self, _: &[Type]) -> Option<Self::Fit> {
        let most = self.quantiles;
        Some(Learn::new(Quantiles::new(), move |quantiles| {
            let rows = quantiles.count() + quantiles.missing();
            let count = usize::try_from(rows).unwrap_or(most).clamp(1, most);
            let mut places = places(count);
            // The reference takes percentages, which rounds once more.
            places
                .iter_mut()
                .for_each(|place| *place = *place * 100.0 / 100.0);
            let kept = quantiles.quantiles(&places).map_err(sketch)?;
            Ok(State {
                quantiles: kept.unwrap_or_default(),
            })
        }))
    }

    fn kernel(&self, state: State, _: &[Type]) -> Result<Kernel> {
        let rising = state.quantiles;
        let (Some(&least), Some(&most)) = (rising.first(), rising.last()) else {
            return Ok(Kernel::constant(f64::NAN));
        };
        let ordered = rising.iter().is_sorted() && rising.iter().all(|value| value.is_finite());
        if !ordered || rising.len() > MAX_QUANTILES {
            return Err(Error::state(
                "quantile_transform: the quantiles do not rise",
            ));
        }
        let places = places(rising.len());
        let reverse =
            |values: &[f64]| -> Box<[f64]> { values.iter().rev().map(|value| -value).collect() };
        let (falling, falling_places) = (reverse(&rising), reverse(&places));
        // The mean of both directions, which differ where quantiles are equal.
        let place = move |value: f64| {
            0.5 * (interpolate(value, &rising, &places)
                - interpolate(-value, &falling, &falling_places))
        };
        Ok(match self.distribution {
            Distribution::Uniform => Kernel::map(move |value| {
                if value.is_nan() {
                    value
                } else if value == least {
                    0.0
                } else if value == most {
                    1.0
                } else {
                    place(value)
                }
            }),
            Distribution::Normal => {
                let end = ENDS - f64::EPSILON;
                let (low, high) = (deviate(end), deviate(1.0 - end));
                Kernel::map(move |value| {
                    if value.is_nan() {
                        value
                    } else if value - ENDS < least {
                        low
                    } else if value + ENDS > most {
                        high
                    } else {
                        deviate(place(value)).clamp(low, high)
                    }
                })
            }
        })
    }
}

pub(super) const ENTRY: Entry = Entry::of::<QuantileTransform>(&[
    r#"{"op":"quantile_transform","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"quantile_transform","distribution":"normal","quantiles":20,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"quantile_transform","quantiles":1,"input":{"op":"col","name":"n"}}"#,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_as_numpy() {
        let (xs, ys) = ([0.0, 1.0, 1.0, 3.0], [0.0, 0.25, 0.5, 1.0]);
        for (x, y) in [
            (-1.0, 0.0),
            (0.5, 0.125),
            (1.0, 0.5),
            (2.0, 0.75),
            (3.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(interpolate(x, &xs, &ys), y);
        }
        assert_eq!(places(5), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(places(1), [0.0]);
    }
}
