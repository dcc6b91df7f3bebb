//! `& | ^` and `~` of conditions, by Kleene's logic: missing is "unknown", so `false & missing` is
//! false and `true | missing` is true; all else of a missing condition is missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::arithmetic::{bracketed, signed};
use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::Type;

/// What one sign does to 0, 1 and NaN.
trait Sign: Send + Sync + 'static {
    const NAME: &'static str;
    const SIGN: &'static str;
    fn apply(left: f64, right: f64) -> f64;
}

struct And;

impl Sign for And {
    const NAME: &'static str = "and";
    const SIGN: &'static str = "&";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        if left == 0.0 || right == 0.0 {
            0.0
        } else {
            left * right
        }
    }
}

struct Or;

impl Sign for Or {
    const NAME: &'static str = "or";
    const SIGN: &'static str = "|";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        if left == 1.0 || right == 1.0 {
            1.0
        } else {
            left + right
        }
    }
}

struct Xor;

impl Sign for Xor {
    const NAME: &'static str = "xor";
    const SIGN: &'static str = "^";

    #[inline]
    fn apply(left: f64, right: f64) -> f64 {
        (left - right).abs()
    }
}

/// Checks that inputs are conditions.
pub(super) fn conditions(inputs: &[Type]) -> Result<()> {
    match inputs.iter().find(|kind| **kind != Type::Bool) {
        None => Ok(()),
        Some(kind) => Err(Error::invalid(format!(
            "takes conditions but gets {kind}: compare it first, as in x > 0"
        ))),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Logic<S> {
    #[serde(skip)]
    sign: PhantomData<S>,
}

impl<S: Sign> Expression for Logic<S> {
    const NAME: &'static str = S::NAME;
    const INPUTS: Inputs = Inputs::Named(&["left", "right"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        conditions(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::zip(S::apply))
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, S::SIGN)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Not {}

impl Expression for Not {
    const NAME: &'static str = "not";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        conditions(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::map(|value| 1.0 - value))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!(
            "~{}",
            bracketed(inputs.first().copied().unwrap_or_default())
        )
    }
}

pub(super) const AND: Entry = Entry::of::<Logic<And>>(&[
    r#"{"op":"and","left":{"op":"col","name":"b"},"right":{"op":"gt","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}}}"#,
]);
pub(super) const OR: Entry = Entry::of::<Logic<Or>>(&[
    r#"{"op":"or","left":{"op":"col","name":"b"},"right":{"op":"gt","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}}}"#,
]);
pub(super) const XOR: Entry = Entry::of::<Logic<Xor>>(&[
    r#"{"op":"xor","left":{"op":"col","name":"b"},"right":{"op":"literal","value":true}}"#,
]);
pub(super) const NOT: Entry =
    Entry::of::<Not>(&[r#"{"op":"not","input":{"op":"col","name":"b"}}"#]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kleene() {
        let unknown = f64::NAN;
        let same = |left: f64, right: f64| left == right || left.is_nan() && right.is_nan();
        for (left, right, and, or, xor) in [
            (0.0, 0.0, 0.0, 0.0, 0.0),
            (0.0, 1.0, 0.0, 1.0, 1.0),
            (1.0, 1.0, 1.0, 1.0, 0.0),
            (0.0, unknown, 0.0, unknown, unknown),
            (1.0, unknown, unknown, 1.0, unknown),
            (unknown, unknown, unknown, unknown, unknown),
        ] {
            for (left, right) in [(left, right), (right, left)] {
                assert!(same(And::apply(left, right), and), "{left} & {right}");
                assert!(same(Or::apply(left, right), or), "{left} | {right}");
                assert!(same(Xor::apply(left, right), xor), "{left} ^ {right}");
            }
        }
    }
}
