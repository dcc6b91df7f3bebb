//! The logarithm, natural or of a base. Missing in, missing out; 0 and below give missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, finite};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    /// e where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<f64>,
}

impl Expression for Log {
    const NAME: &'static str = "log";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        match self.base {
            Some(base) if !(base > 0.0 && base.is_finite() && base != 1.0) => Err(Error::invalid(
                format!("base {base} has no logarithm: give a base above 0 that is not 1"),
            )),
            _ => Ok(()),
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(match self.base {
            None => Kernel::map(|value| finite(value.ln())),
            // Exact at the powers of these two, which a quotient of logarithms is not.
            Some(2.0) => Kernel::map(|value| finite(value.log2())),
            Some(10.0) => Kernel::map(|value| finite(value.log10())),
            Some(base) => {
                let scale = base.ln();
                Kernel::map(move |value| finite(value.ln() / scale))
            }
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        match self.base {
            None => format!("{input}_log"),
            Some(base) => format!("{input}_log{base}"),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Log>(&[
    r#"{"op":"log","input":{"op":"col","name":"x"}}"#,
    r#"{"op":"log","base":2,"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"log","base":10,"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"log","base":1.5,"input":{"op":"col","name":"x"}}"#,
]);
