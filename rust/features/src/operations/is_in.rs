//! Is a value one of some constants? 1 or 0, and missing where the value is missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::{DType, Error, Result};
use tidegate_sketch::{NumberMap, TextMap};

use super::literal::Constant;
use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most constants.
const MAX_VALUES: usize = 100_000;
/// Up to so many numbers comparing with all of them is faster than a look-up.
const COMPARED: usize = 8;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IsIn {
    values: Vec<Constant>,
    /// Says that whole numbers are times in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<DType>,
}

impl IsIn {
    /// The type of the values; `check` has seen that they are of one.
    fn kind(&self) -> Type {
        let first = self.values.first().map_or(Type::Number, Constant::kind);
        match self.dtype {
            Some(dtype) if first == Type::Number => Type::from(dtype),
            _ => first,
        }
    }
}

impl Expression for IsIn {
    const NAME: &'static str = "is_in";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        let Some(first) = self.values.first() else {
            return Err(Error::invalid("has no values: give at least one"));
        };
        if self.values.len() > MAX_VALUES {
            return Err(Error::invalid(format!(
                "{} values exceed the limit of {MAX_VALUES}",
                self.values.len()
            )));
        }
        let kind = first.kind();
        if let Some(other) = self.values.iter().find(|value| value.kind() != kind) {
            return Err(Error::invalid(format!(
                "has {kind} and {} among its values: give values of one type",
                other.kind()
            )));
        }
        if self.dtype.is_some() && kind != Type::Number {
            return Err(Error::invalid(format!(
                "dtype stands beside {kind}: leave it out"
            )));
        }
        Ok(())
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [kind] if *kind == self.kind() => Ok(Type::Bool),
            [Type::Columns] => Err(takes("one value", Type::Columns)),
            [kind] => Err(Error::invalid(format!(
                "looks for {} in {kind}: give values of the column's type",
                self.kind()
            ))),
            _ => Err(Error::internal("is_in has one input")),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        if inputs.first() == Some(&Type::Text) {
            let mut texts: Vec<&str> = Vec::with_capacity(self.values.len());
            for value in &self.values {
                if let Constant::Text(text) = value {
                    texts.push(text);
                }
            }
            texts.sort_unstable();
            texts.dedup();
            let map = TextMap::new(&texts);
            return Ok(Kernel::read(move |text| {
                text.map_or(f64::NAN, |text| f64::from(map.get(text).is_some()))
            }));
        }
        let mut numbers: Vec<f64> = self.values.iter().filter_map(Constant::number).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        numbers.dedup();
        if numbers.len() <= COMPARED {
            return Ok(Kernel::map(move |value| {
                let found = numbers
                    .iter()
                    .fold(false, |found, number| found | (*number == value));
                if value.is_nan() {
                    value
                } else {
                    f64::from(found)
                }
            }));
        }
        let map = NumberMap::new(&numbers);
        Ok(Kernel::map(move |value| {
            if value.is_nan() {
                value
            } else {
                f64::from(map.get(value).is_some())
            }
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_is_in", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<IsIn>(&[
    r#"{"op":"is_in","values":["a","é","not there"],"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"is_in","values":[0,1,2,3,4,5,6,7,8,9,10],"input":{"op":"col","name":"n"}}"#,
    r#"{"op":"is_in","values":[0.5,-1],"input":{"op":"col","name":"x"}}"#,
    r#"{"op":"is_in","values":[true],"input":{"op":"col","name":"b"}}"#,
    r#"{"op":"is_in","values":[0,1000000],"dtype":"timestamp","input":{"op":"col","name":"t"}}"#,
]);
