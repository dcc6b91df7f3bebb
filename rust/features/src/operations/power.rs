//! `**`, `%` and `//` of numbers as Python and NumPy define them: the remainder has the sign of the
//! divisor, and `//` rounds down. Missing in, missing out; division by zero, an even root of a
//! negative number and what is too large are missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::arithmetic::signed;
use crate::expression::{Entry, Expression, Inputs, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

/// What one sign does.
trait Sign: Send + Sync + 'static {
    const NAME: &'static str;
    const SIGN: &'static str;
    fn apply(left: f64, right: f64) -> f64;
}

struct Pow;

impl Sign for Pow {
    const NAME: &'static str = "pow";
    const SIGN: &'static str = "**";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        // A power of zero is 1 whatever is raised, but a missing value stays missing.
        if left.is_nan() || right.is_nan() {
            return f64::NAN;
        }
        left.powf(right)
    }
}

struct Mod;

impl Sign for Mod {
    const NAME: &'static str = "mod";
    const SIGN: &'static str = "%";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        let rest = left % right;
        if rest == 0.0 {
            0f64.copysign(right)
        } else if (rest < 0.0) != (right < 0.0) {
            rest + right
        } else {
            rest
        }
    }
}

struct FloorDiv;

impl Sign for FloorDiv {
    const NAME: &'static str = "floor_div";
    const SIGN: &'static str = "//";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        // By the remainder, which is exact: a rounded quotient may lie one too high.
        let quotient = (left - Mod::apply(left, right)) / right;
        let floor = quotient.floor();
        if quotient - floor > 0.5 {
            floor + 1.0
        } else {
            floor
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Power<S> {
    #[serde(skip)]
    sign: PhantomData<S>,
}

impl<S: Sign> Expression for Power<S> {
    const NAME: &'static str = S::NAME;
    const INPUTS: Inputs = Inputs::Named(&["left", "right"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::zip(|left, right| finite(S::apply(left, right))))
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, S::SIGN)
    }
}

pub(super) const POW: Entry = Entry::of::<Power<Pow>>(&[
    r#"{"op":"pow","left":{"op":"col","name":"x"},"right":{"op":"literal","value":2}}"#,
    r#"{"op":"pow","left":{"op":"col","name":"n"},"right":{"op":"col","name":"x"}}"#,
]);
pub(super) const MOD: Entry = Entry::of::<Power<Mod>>(&[
    r#"{"op":"mod","left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
    r#"{"op":"mod","left":{"op":"col","name":"n"},"right":{"op":"literal","value":-7}}"#,
]);
pub(super) const FLOOR_DIV: Entry = Entry::of::<Power<FloorDiv>>(&[
    r#"{"op":"floor_div","left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
]);
