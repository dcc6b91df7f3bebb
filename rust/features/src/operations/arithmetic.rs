//! `+ - * /` and negation. Missing in, missing out; a result that is no finite number (as of a
//! division by zero) is missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Inputs, Nothing, number, takes};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

/// Microseconds in a second: the difference of two times is in seconds.
const MICROS: f64 = 1e6;

/// What one sign does.
trait Sign: Send + Sync + 'static {
    const NAME: &'static str;
    const SIGN: &'static str;
    fn apply(left: f64, right: f64) -> f64;
}

macro_rules! signs {
    ($($type:ident $name:literal $sign:tt)*) => {
        $(struct $type;
        impl Sign for $type {
            const NAME: &'static str = $name;
            const SIGN: &'static str = stringify!($sign);
            #[inline]
            fn apply(left: f64, right: f64) -> f64 {
                left $sign right
            }
        })*
    };
}

signs! { Add "add" + Sub "sub" - Mul "mul" * Div "div" / }

/// A name that can stand beside a sign.
pub(super) fn bracketed(name: &str) -> String {
    if name.contains(' ') {
        format!("({name})")
    } else {
        name.to_owned()
    }
}

/// Names with a sign between them.
pub(super) fn signed(names: &[&str], sign: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| bracketed(name)).collect();
    names.join(&format!(" {sign} "))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Arithmetic<S> {
    #[serde(skip)]
    sign: PhantomData<S>,
}

impl<S: Sign> Expression for Arithmetic<S> {
    const NAME: &'static str = S::NAME;
    const INPUTS: Inputs = Inputs::Named(&["left", "right"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        if S::NAME == Sub::NAME && inputs.iter().all(|kind| *kind == Type::Timestamp) {
            return Ok(Type::Number);
        }
        match inputs.iter().find(|kind| !kind.is_number()) {
            Some(Type::Timestamp) if S::NAME == Sub::NAME => {
                Err(takes("two numbers or two timestamps", Type::Timestamp))
            }
            _ => number(inputs).map(|()| Type::Number),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        Ok(if inputs.first() == Some(&Type::Timestamp) {
            Kernel::zip(|left, right| (left - right) / MICROS)
        } else {
            Kernel::zip(|left, right| finite(S::apply(left, right)))
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, S::SIGN)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Negate {}

impl Expression for Negate {
    const NAME: &'static str = "negate";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::map(|value| -value))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!(
            "-{}",
            bracketed(inputs.first().copied().unwrap_or_default())
        )
    }
}

pub(super) const ADD: Entry = Entry::of::<Arithmetic<Add>>(&[
    r#"{"op":"add","left":{"op":"col","name":"x"},"right":{"op":"literal","value":1.5}}"#,
]);
pub(super) const SUB: Entry = Entry::of::<Arithmetic<Sub>>(&[
    r#"{"op":"sub","left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
    r#"{"op":"sub","left":{"op":"col","name":"t"},"right":{"op":"col","name":"u"}}"#,
]);
pub(super) const MUL: Entry = Entry::of::<Arithmetic<Mul>>(&[
    r#"{"op":"mul","left":{"op":"col","name":"n"},"right":{"op":"col","name":"b"}}"#,
]);
pub(super) const DIV: Entry = Entry::of::<Arithmetic<Div>>(&[
    r#"{"op":"div","left":{"op":"col","name":"x"},"right":{"op":"col","name":"n"}}"#,
]);
pub(super) const NEGATE: Entry =
    Entry::of::<Negate>(&[r#"{"op":"negate","input":{"op":"col","name":"x"}}"#]);
