//! A number rounded to so many decimals, halves to the even neighbour, as NumPy's `round` does:
//! scaled, rounded and scaled back. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, round_even};

/// Most decimals, and places before the point: what a power of ten as a float bears exactly.
const MAX_DECIMALS: i32 = 22;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    /// Negative for places before the point.
    #[serde(default)]
    decimals: i32,
}

/// A value rounded to so many decimals, whose power of ten is `scale`.
#[inline(always)]
fn rounded(value: f64, decimals: i32, scale: f64, whole: impl Fn(f64) -> f64) -> f64 {
    match decimals {
        0 => whole(value),
        1.. => {
            let scaled = value * scale;
            // What is too large to be scaled has no decimals.
            if scaled.is_finite() {
                whole(scaled) / scale
            } else {
                value
            }
        }
        _ => whole(value / scale) * scale,
    }
}

impl Expression for Round {
    const NAME: &'static str = "round";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if (-MAX_DECIMALS..=MAX_DECIMALS).contains(&self.decimals) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} decimals: use -{MAX_DECIMALS} to {MAX_DECIMALS}",
            self.decimals
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let scale = 10f64.powi(self.decimals.abs());
        let places = self.decimals;
        // Processors with wide registers have an instruction for what `round_even` has to compute.
        Ok(Kernel::map_either(
            move |value| rounded(value, places, scale, round_even),
            move |value| rounded(value, places, scale, f64::round_ties_even),
        ))
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Round>(&[
    r#"{"op":"round","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"round","decimals":2,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"round","decimals":-1,"input":{"op":"col","name":"n"}}"#,
]);
