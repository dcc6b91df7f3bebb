//! `== != < <= > >=` of two numbers, two texts (by their bytes) or two timestamps: 1 or 0, and
//! missing where either side is missing.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::arithmetic::signed;
use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::Type;

/// What one comparison says of an ordering.
trait Compare: Send + Sync + 'static {
    const NAME: &'static str;
    const SIGN: &'static str;
    fn texts(ordering: Ordering) -> bool;
    fn numbers(left: f64, right: f64) -> bool;
}

macro_rules! comparisons {
    ($($type:ident $name:literal $sign:tt $is:ident)*) => {
        $(struct $type;
        impl Compare for $type {
            const NAME: &'static str = $name;
            const SIGN: &'static str = stringify!($sign);
            fn texts(ordering: Ordering) -> bool {
                ordering.$is()
            }
            #[inline]
            fn numbers(left: f64, right: f64) -> bool {
                left $sign right
            }
        })*
    };
}

comparisons! {
    Eq "eq" == is_eq
    Ne "ne" != is_ne
    Lt "lt" < is_lt
    Le "le" <= is_le
    Gt "gt" > is_gt
    Ge "ge" >= is_ge
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Comparison<C> {
    #[serde(skip)]
    comparison: PhantomData<C>,
}

impl<C: Compare> Expression for Comparison<C> {
    const NAME: &'static str = C::NAME;
    const INPUTS: Inputs = Inputs::Named(&["left", "right"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Text, Type::Text] | [Type::Timestamp, Type::Timestamp] => Ok(Type::Bool),
            [left, right] if left.is_number() && right.is_number() => Ok(Type::Bool),
            [left, right] => Err(Error::invalid(format!(
                "compares two of a kind but gets {left} and {right}: compare numbers with numbers, strings with strings, timestamps with timestamps"
            ))),
            _ => Err(Error::internal("a comparison has two inputs")),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        if inputs.first() == Some(&Type::Text) {
            return Ok(Kernel::Numbers(Box::new(|inputs, out| {
                let (left, right) = (inputs[0].texts(), inputs[1].texts());
                for (row, out) in out.iter_mut().enumerate() {
                    *out = match (left.get(row), right.get(row)) {
                        (Some(left), Some(right)) => f64::from(C::texts(left.cmp(right))),
                        _ => f64::NAN,
                    };
                }
            })));
        }
        Ok(Kernel::zip(|left, right| {
            if left.is_nan() || right.is_nan() {
                f64::NAN
            } else {
                f64::from(C::numbers(left, right))
            }
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, C::SIGN)
    }
}

pub(super) const EQ: Entry = Entry::of::<Comparison<Eq>>(&[
    r#"{"op":"eq","left":{"op":"col","name":"s"},"right":{"op":"literal","value":"b"}}"#,
    r#"{"op":"eq","left":{"op":"col","name":"n"},"right":{"op":"literal","value":2}}"#,
]);
pub(super) const NE: Entry = Entry::of::<Comparison<Ne>>(&[
    r#"{"op":"ne","left":{"op":"col","name":"s"},"right":{"op":"col","name":"k"}}"#,
]);
pub(super) const LT: Entry = Entry::of::<Comparison<Lt>>(&[
    r#"{"op":"lt","left":{"op":"col","name":"t"},"right":{"op":"literal","value":1000000,"dtype":"timestamp"}}"#,
]);
pub(super) const LE: Entry = Entry::of::<Comparison<Le>>(&[
    r#"{"op":"le","left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
]);
pub(super) const GT: Entry = Entry::of::<Comparison<Gt>>(&[
    r#"{"op":"gt","left":{"op":"col","name":"b"},"right":{"op":"literal","value":false}}"#,
]);
pub(super) const GE: Entry = Entry::of::<Comparison<Ge>>(&[
    r#"{"op":"ge","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}}"#,
]);
