//! Is a constant among the items of a list? 1 or 0; items that are missing are none of them.
//! Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::literal::Constant;
use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListContains {
    value: Constant,
}

impl Expression for ListContains {
    const NAME: &'static str = "list_contains";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match (inputs, self.value.kind()) {
            ([Type::NumberList], Type::Number) | ([Type::TextList], Type::Text) => Ok(Type::Bool),
            ([kind @ (Type::NumberList | Type::TextList)], constant) => Err(Error::invalid(
                format!("looks for {constant} in {kind}: give a value of the items' type"),
            )),
            (kinds, _) => Err(takes(
                "a list",
                kinds.first().copied().unwrap_or(Type::Number),
            )),
        }
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let value = self.value.clone();
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            match (inputs[0], &value) {
                (Values::NumberLists(lists), Constant::Number(value)) => {
                    for (row, out) in out.iter_mut().enumerate() {
                        let items = lists.get(row);
                        *out = items.map_or(f64::NAN, |items| f64::from(items.contains(value)));
                    }
                }
                (Values::TextLists(lists), Constant::Text(value)) => {
                    for (row, out) in out.iter_mut().enumerate() {
                        let items = lists.get(row);
                        *out = items.map_or(f64::NAN, |mut items| {
                            f64::from(items.any(|item| item == Some(value)))
                        });
                    }
                }
                _ => out.fill(f64::NAN),
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        let value = match &self.value {
            Constant::Bool(value) => value.to_string(),
            Constant::Number(value) => value.to_string(),
            Constant::Text(value) => value.clone(),
        };
        format!("{input}_contains_{value}")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<ListContains>(&[
    r#"{"op":"list_contains","value":2,"input":{"op":"col","name":"l"}}"#,
    r#"{"op":"list_contains","value":"é","input":{"op":"col","name":"w"}}"#,
]);
