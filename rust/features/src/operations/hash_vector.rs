//! The bucket of a value's text as a column of its own, which is 1, or −1 where the hash is
//! negative: a row of scikit-learn's `FeatureHasher(input_type="string")`. Missing is 0 in all
//! columns.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::category;
use crate::expression::{Entry, Expression, Nothing};
use crate::kernel::Kernel;
use crate::murmur::murmur3;
use crate::value::{Type, each_key};

/// Most columns.
pub(super) const MAX_COLUMNS: u32 = 1 << 16;

/// Checks how many columns a hash is spread over.
pub(super) fn check_columns(columns: u32) -> Result<()> {
    if (1..=MAX_COLUMNS).contains(&columns) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{columns} columns: use 1 to {MAX_COLUMNS}"
    )))
}

/// The column of a text, and 1 or −1.
#[inline]
pub(super) fn place(text: &str, columns: u32, signed: bool) -> (u32, f64) {
    let hash = murmur3(text.as_bytes(), 0) as i32;
    let sign = if signed && hash < 0 { -1.0 } else { 1.0 };
    (hash.unsigned_abs() % columns, sign)
}

/// What is put behind the name for each column.
pub(super) fn suffixes(columns: u32) -> Vec<String> {
    (0..columns).map(|column| format!("[{column}]")).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashVector {
    columns: u32,
    #[serde(default = "yes")]
    signed: bool,
}

const fn yes() -> bool {
    true
}

impl Expression for HashVector {
    const NAME: &'static str = "hash_vector";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        check_columns(self.columns)
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Columns)
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let (count, signed) = (self.columns, self.signed);
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        Ok(Kernel::Columns {
            count: count as usize,
            run: Box::new(move |inputs, mut columns| {
                let (mut row, mut key) = (0, String::new());
                each_key(kind, &inputs[0], &mut key, |text| {
                    if let Some(text) = text {
                        let (column, value) = place(text, count, signed);
                        columns.set(row, column as usize, value);
                    }
                    row += 1;
                });
            }),
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_hash_vector")
    }

    fn suffixes(&self, (): &()) -> Vec<String> {
        suffixes(self.columns)
    }
}

pub(super) const ENTRY: Entry = Entry::of::<HashVector>(&[
    r#"{"op":"hash_vector","columns":8,"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"hash_vector","columns":5,"signed":false,"input":{"op":"col","name":"n"}}"#,
]);
