//! A constant in every row. Never missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{DType, Error, Result};

use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::Type;

/// A value that JSON can hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Constant {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Constant {
    /// The type of the value.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
        }
    }

    /// The value as a number, if it is none of the texts.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(*value)),
            Self::Number(value) => Some(*value),
            Self::Text(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Literal {
    value: Constant,
    /// Says that a whole number is a time in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<DType>,
}

impl Expression for Literal {
    const NAME: &'static str = "literal";
    const INPUTS: Inputs = Inputs::Named(&[]);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        match self.dtype {
            None => Ok(()),
            Some(dtype) => match (dtype, self.value.kind()) {
                (DType::Bool, Type::Bool)
                | (DType::Int64 | DType::Float64 | DType::Timestamp, Type::Number)
                | (DType::String, Type::Text) => Ok(()),
                (_, kind) => Err(Error::invalid(format!(
                    "the value is {kind} where dtype says {dtype}"
                ))),
            },
        }
    }

    fn output(&self, _: &[Type]) -> Result<Type> {
        Ok(match self.dtype {
            Some(DType::Timestamp) => Type::Timestamp,
            _ => self.value.kind(),
        })
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(match &self.value {
            Constant::Text(text) => {
                let text = text.clone();
                Kernel::Texts(Box::new(move |_, rows, out| {
                    (0..rows).for_each(|_| out.push(Some(&text)));
                }))
            }
            value => Kernel::constant(value.number().unwrap_or(f64::NAN)),
        })
    }

    fn name(&self, _: &[&str]) -> String {
        match &self.value {
            Constant::Bool(value) => value.to_string(),
            Constant::Number(value) => value.to_string(),
            Constant::Text(value) => value.clone(),
        }
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Literal>(&[
    r#"{"op":"mul","left":{"op":"literal","value":2.5},"right":{"op":"col","name":"x"}}"#,
    r#"{"op":"ordinal","input":{"op":"cross","left":{"op":"literal","value":"text"},"right":{"op":"col","name":"s"}}}"#,
    r#"{"op":"sub","left":{"op":"col","name":"t"},"right":{"op":"literal","value":-5,"dtype":"timestamp"}}"#,
]);
