//! Is a value missing, or is it not? 1 or 0, never missing itself.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

/// Which of the two answers is 1.
trait Question: Send + Sync + 'static {
    const NAME: &'static str;
    const OF_MISSING: bool;
}

struct Missing;

impl Question for Missing {
    const NAME: &'static str = "is_null";
    const OF_MISSING: bool = true;
}

struct Present;

impl Question for Present {
    const NAME: &'static str = "is_not_null";
    const OF_MISSING: bool = false;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct IsNull<Q> {
    #[serde(skip)]
    question: PhantomData<Q>,
}

impl<Q: Question> Expression for IsNull<Q> {
    const NAME: &'static str = Q::NAME;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::Columns] => Err(takes("one value", Type::Columns)),
            _ => Ok(Type::Bool),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        if inputs.first().is_some_and(|kind| kind.is_numeric()) {
            return Ok(Kernel::map(|value| {
                f64::from(value.is_nan() == Q::OF_MISSING)
            }));
        }
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            let mut out = out.iter_mut();
            inputs[0].for_each_missing(|missing| {
                if let Some(out) = out.next() {
                    *out = f64::from(missing == Q::OF_MISSING);
                }
            });
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_{}", Q::NAME)
    }
}

pub(super) const IS_NULL: Entry = Entry::of::<IsNull<Missing>>(&[
    r#"{"op":"is_null","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"t"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"l"}}"#,
    r#"{"op":"is_null","input":{"op":"col","name":"w"}}"#,
]);
pub(super) const IS_NOT_NULL: Entry = Entry::of::<IsNull<Present>>(&[
    r#"{"op":"is_not_null","input":{"op":"col","name":"n"}}"#,
    r#"{"op":"is_not_null","input":{"op":"col","name":"k"}}"#,
]);
