//! The time that has passed from one time to another, in a unit, with its fraction. Missing where
//! either is.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::arithmetic::signed;
use crate::expression::{Entry, Expression, Inputs, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
}

impl Unit {
    const fn micros(self) -> f64 {
        match self {
            Self::Microseconds => 1.0,
            Self::Milliseconds => 1e3,
            Self::Seconds => 1e6,
            Self::Minutes => 60e6,
            Self::Hours => 3_600e6,
            Self::Days => 86_400e6,
            Self::Weeks => 604_800e6,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    unit: Unit,
}

impl Expression for Since {
    const NAME: &'static str = "since";
    /// The later time and the earlier one.
    const INPUTS: Inputs = Inputs::Named(&["input", "from"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs.iter().find(|kind| **kind != Type::Timestamp) {
            None => Ok(Type::Number),
            Some(kind) => Err(takes("two timestamps", *kind)),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let unit = self.unit.micros();
        Ok(Kernel::zip(move |later, earlier| (later - earlier) / unit))
    }

    fn name(&self, inputs: &[&str]) -> String {
        signed(inputs, "-")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Since>(&[
    r#"{"op":"since","unit":"days","input":{"op":"col","name":"t"},"from":{"op":"col","name":"u"}}"#,
    r#"{"op":"since","unit":"milliseconds","input":{"op":"col","name":"t"},"from":{"op":"literal","value":1356998400000000,"dtype":"timestamp"}}"#,
]);
