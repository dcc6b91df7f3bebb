//! One item of a list, by its place from 0, or from the end if negative. Missing where the list has
//! no such place, or nothing in it.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, takes};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListGet {
    index: i32,
}

/// Where the item is among so many.
fn place(index: i32, items: usize) -> Option<usize> {
    let size = index.unsigned_abs() as usize;
    if index >= 0 {
        (size < items).then_some(size)
    } else {
        items.checked_sub(size)
    }
}

impl Expression for ListGet {
    const NAME: &'static str = "list_get";
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        match inputs {
            [Type::NumberList] => Ok(Type::Number),
            [Type::TextList] => Ok(Type::Text),
            kinds => Err(takes(
                "a list",
                kinds.first().copied().unwrap_or(Type::Number),
            )),
        }
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let index = self.index;
        if inputs.first() == Some(&Type::TextList) {
            return Ok(Kernel::Texts(Box::new(move |inputs, rows, out| {
                for row in 0..rows {
                    let Values::TextLists(lists) = inputs[0] else {
                        return;
                    };
                    let item = lists.range(row).and_then(|items| {
                        let place = place(index, items.len())?;
                        lists.items().get(items.start + place)
                    });
                    out.push(item);
                }
            })));
        }
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            let Values::NumberLists(lists) = inputs[0] else {
                return;
            };
            for (row, out) in out.iter_mut().enumerate() {
                let item = lists
                    .get(row)
                    .and_then(|items| items.get(place(index, items.len())?));
                *out = item.copied().unwrap_or(f64::NAN);
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}[{}]", self.index)
    }
}

pub(super) const ENTRY: Entry = Entry::of::<ListGet>(&[
    r#"{"op":"list_get","index":0,"input":{"op":"col","name":"l"}}"#,
    r#"{"op":"list_get","index":-2,"input":{"op":"col","name":"l"}}"#,
    r#"{"op":"ordinal","input":{"op":"list_get","index":-1,"input":{"op":"col","name":"w"}}}"#,
]);

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn places_are_within_the_list_or_nowhere() {
        for (index, items, due) in [
            (0, 0, None),
            (0, 2, Some(0)),
            (2, 2, None),
            (-1, 2, Some(1)),
            (-2, 2, Some(0)),
            (-3, 2, None),
            (i32::MIN, 2, None),
        ] {
            assert_eq!(place(index, items), due, "{index} of {items}");
        }
    }
}
