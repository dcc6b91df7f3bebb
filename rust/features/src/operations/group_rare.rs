//! Rare and unseen categories replaced by one text, the others under their text: a category still,
//! to be encoded. Missing in, missing out.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Index, Keep, category, check_count};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::{Type, Values, write_key};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRare {
    /// How often a category is to be seen.
    #[serde(default = "one")]
    min_count: u64,
    /// Which part of the values that are not missing a category is to make up.
    #[serde(default)]
    min_share: f64,
    /// What the others become.
    #[serde(default = "rare")]
    other: String,
}

const fn one() -> u64 {
    1
}

fn rare() -> String {
    "(rare)".to_owned()
}

impl Expression for GroupRare {
    const NAME: &'static str = "group_rare";
    type Fit = Count;

    fn check(&self) -> Result<()> {
        check_count(self.min_count)?;
        if (0.0..=1.0).contains(&self.min_share) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "min_share {}: use 0 to 1",
            self.min_share
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Text)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        let keep = Keep {
            min_share: self.min_share,
            ..Keep::frequent(self.min_count, tidegate_sketch::DISTINCT_LIMIT)
        };
        Count::new(inputs.first().copied()?, keep)
    }

    fn kernel(&self, state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        let other = self.other.clone();
        Ok(match state.index(kind)? {
            Index::Texts(map) => Kernel::rewrite(move |text, out| {
                let known = map.get(text).is_some();
                out.push_str(if known { text } else { &other });
            }),
            Index::Numbers(map) => Kernel::Texts(Box::new(move |inputs, _, out| {
                let Values::Numbers(values) = inputs[0] else {
                    return;
                };
                for &value in values {
                    if value.is_nan() || map.get(value).is_some() {
                        out.push_with(|text| write_key(kind, value, text));
                    } else {
                        out.push(Some(&other));
                    }
                }
            })),
        })
    }
}

pub(super) const ENTRY: Entry = Entry::of::<GroupRare>(&[
    r#"{"op":"one_hot","input":{"op":"group_rare","min_count":3,"input":{"op":"col","name":"s"}}}"#,
    r#"{"op":"ordinal","input":{"op":"group_rare","min_share":0.1,"other":"","input":{"op":"col","name":"n"}}}"#,
]);
