//! Over the columns of one row: does any condition hold, do all, and how many values are missing.
//! Conditions follow Kleene's logic: one that holds decides `row_any` and one that does not decides
//! `row_all`, whatever is missing beside it.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::logic::conditions;
use super::row::label;
use crate::expression::{Entry, Expression, Inputs, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

/// What decides.
trait Decision: Send + Sync + 'static {
    const NAME: &'static str;
    /// The value that decides, whatever the others are.
    const DECIDES: f64;
}

struct Any;

impl Decision for Any {
    const NAME: &'static str = "row_any";
    const DECIDES: f64 = 1.0;
}

struct All;

impl Decision for All {
    const NAME: &'static str = "row_all";
    const DECIDES: f64 = 0.0;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Row<D> {
    #[serde(skip)]
    decision: PhantomData<D>,
}

impl<D: Decision> Expression for Row<D> {
    const NAME: &'static str = D::NAME;
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        conditions(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            out.fill(1.0 - D::DECIDES);
            for input in inputs {
                for (out, &value) in out.iter_mut().zip(input.numbers()) {
                    // What has decided stays; what is missing stays unless something decides.
                    let undecided = if value.is_nan() { value } else { *out };
                    *out = if *out == D::DECIDES || value == D::DECIDES {
                        D::DECIDES
                    } else {
                        undecided
                    };
                }
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        label(D::NAME, inputs)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountNull {}

impl Expression for CountNull {
    const NAME: &'static str = "row_count_null";
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        if inputs.contains(&Type::Columns) {
            return Err(takes("single values", Type::Columns));
        }
        Ok(Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            out.fill(0.0);
            for input in inputs {
                let mut out = out.iter_mut();
                input.for_each_missing(|missing| {
                    if let Some(out) = out.next() {
                        *out += f64::from(missing);
                    }
                });
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        label("row_count_null", inputs)
    }
}

macro_rules! example {
    ($name:literal) => {
        concat!(
            r#"{"op":""#,
            $name,
            r#"","inputs":[{"op":"col","name":"b"},{"op":"gt","left":{"op":"col","name":"x"},"right":{"op":"literal","value":0}},{"op":"gt","left":{"op":"col","name":"n"},"right":{"op":"literal","value":9}}]}"#
        )
    };
}

pub(super) const ANY: Entry = Entry::of::<Row<Any>>(&[example!("row_any")]);
pub(super) const ALL: Entry = Entry::of::<Row<All>>(&[example!("row_all")]);
pub(super) const COUNT_NULL: Entry = Entry::of::<CountNull>(&[
    r#"{"op":"row_count_null","inputs":[{"op":"col","name":"b"},{"op":"col","name":"x"},{"op":"col","name":"s"},{"op":"col","name":"t"}]}"#,
]);
