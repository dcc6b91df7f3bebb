//! Several values as one category: their texts with the unit separator (U+001F) between them, so
//! that no two combinations meet. Missing where one of them is missing.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::categories::category;
use crate::expression::{Entry, Expression, Inputs, Nothing};
use crate::kernel::Kernel;
use crate::value::{Type, Values, write_key};

/// Stands between the texts; output names show it as `&`.
pub(super) const SEPARATOR: char = '\u{1f}';

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cross {}

fn write(kind: Type, values: &Values<'_>, row: usize, text: &mut String) -> bool {
    match values {
        Values::Texts(strings) => match strings.get(row) {
            Some(value) => {
                text.push_str(value);
                true
            }
            None => false,
        },
        Values::Numbers(numbers) => numbers
            .get(row)
            .is_some_and(|&value| write_key(kind, value, text)),
        Values::NumberLists(_) | Values::TextLists(_) => false,
    }
}

impl Expression for Cross {
    const NAME: &'static str = "cross";
    const INPUTS: Inputs = Inputs::NamedOrList(&["left", "right"]);
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Text)
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let kinds = inputs.to_vec();
        Ok(Kernel::Texts(Box::new(move |inputs, rows, out| {
            for row in 0..rows {
                out.push_with(|text| {
                    inputs
                        .iter()
                        .zip(&kinds)
                        .enumerate()
                        .all(|(position, (values, kind))| {
                            if position > 0 {
                                text.push(SEPARATOR);
                            }
                            write(*kind, values, row, text)
                        })
                });
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        inputs.join("&")
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Cross>(&[
    r#"{"op":"one_hot","input":{"op":"cross","left":{"op":"col","name":"s"},"right":{"op":"col","name":"b"}}}"#,
    r#"{"op":"ordinal","input":{"op":"cross","left":{"op":"col","name":"n"},"right":{"op":"col","name":"k"}}}"#,
    r#"{"op":"ordinal","input":{"op":"cross","inputs":[{"op":"col","name":"n"},{"op":"col","name":"k"},{"op":"col","name":"b"},{"op":"col","name":"s"}]}}"#,
]);
