//! The natural logarithm of one plus a number. Missing in, missing out; −1 and below give missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log1p {}

impl Expression for Log1p {
    const NAME: &'static str = "log1p";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::map(|value| finite(value.ln_1p())))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_log1p", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry =
    Entry::of::<Log1p>(&[r#"{"op":"log1p","input":{"op":"col","name":"x"}}"#]);
