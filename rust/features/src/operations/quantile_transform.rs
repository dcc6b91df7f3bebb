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

/// The place of a value among quantiles: the mean of NumPy's `interp` in both directions, which
/// differ where quantiles are equal.
#[inline]
fn place(x: f64, quantiles: &[f64], places: &[f64]) -> f64 {
    let above = quantiles.partition_point(|known| *known <= x);
    let Some(below) = above.checked_sub(1) else {
        return places.first().copied().unwrap_or(f64::NAN);
    };
    let (Some(&left), Some(&low)) = (quantiles.get(below), places.get(below)) else {
        return f64::NAN;
    };
    if left == x {
        // Of equal quantiles one direction takes the last place and the other the first.
        let first = quantiles.partition_point(|known| *known < x);
        return 0.5 * (low + places.get(first).copied().unwrap_or(low));
    }
    let (Some(&right), Some(&high)) = (quantiles.get(above), places.get(above)) else {
        // Above all of them.
        return low;
    };
    let slope = (high - low) / (right - left);
    0.5 * ((slope * (x - left) + low) - (slope * (right - x) - high))
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
        let place = move |value: f64| place(value, &rising, &places);
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
    fn interpolates_as_numpy_in_both_directions() {
        let (xs, ys) = ([0.0, 1.0, 1.0, 3.0], [0.0, 0.25, 0.5, 1.0]);
        for (x, y) in [
            (-1.0, 0.0),
            (0.0, 0.0),
            (0.5, 0.125),
            (1.0, 0.375),
            (2.0, 0.75),
            (3.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(place(x, &xs, &ys), y);
        }
        assert_eq!(places(5), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(places(1), [0.0]);
    }
}
