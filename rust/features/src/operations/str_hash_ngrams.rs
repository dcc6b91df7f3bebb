//! Words or characters of a text hashed into columns: how often each bucket's terms occur, with the
//! sign of the hash, divided by the length of the row (scikit-learn's `HashingVectorizer`). Nothing
//! is learned. Missing is 0 in all columns.

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use super::hash_vector::{check_columns, place, suffixes};
use super::tokens::{Scratch, Terms, add_up, normalize};
use crate::expression::{Entry, Expression, Nothing, text};
use crate::kernel::Kernel;
use crate::value::Type;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashNgrams {
    columns: u32,
    /// Is each row divided by its Euclidean length?
    #[serde(default = "yes")]
    normalize: bool,
    #[serde(default = "yes")]
    signed: bool,
    #[serde(default)]
    terms: Terms,
}

const fn yes() -> bool {
    true
}

impl Expression for HashNgrams {
    const NAME: &'static str = "str_hash_ngrams";
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        check_columns(self.columns)?;
        self.terms.check()
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Columns)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let (count, terms) = (self.columns, self.terms);
        let (signed, normalized) = (self.signed, self.normalize);
        Ok(Kernel::Columns {
            count: count as usize,
            run: Box::new(move |inputs, mut columns| {
                let (mut row, mut scratch, mut values) = (0, Scratch::default(), Vec::new());
                inputs[0].texts().for_each(|text| {
                    values.clear();
                    terms.each(text.unwrap_or_default(), &mut scratch, |term| {
                        values.push(place(term, count, signed));
                    });
                    add_up(&mut values);
                    if normalized {
                        normalize(&mut values);
                    }
                    for &(column, value) in &values {
                        columns.set(row, column as usize, value);
                    }
                    row += 1;
                });
            }),
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_ngrams", inputs.first().copied().unwrap_or_default())
    }

    fn suffixes(&self, (): &()) -> Vec<String> {
        suffixes(self.columns)
    }
}

pub(super) const ENTRY: Entry = Entry::of::<HashNgrams>(&[
    r#"{"op":"str_hash_ngrams","columns":16,"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"str_hash_ngrams","columns":7,"normalize":false,"signed":false,"terms":{"analyzer":"char_wb","ngrams":[1,3]},"input":{"op":"col","name":"k"}}"#,
    r#"{"op":"str_hash_ngrams","columns":9,"terms":{"analyzer":"char","lowercase":false,"ngrams":[2,3]},"input":{"op":"col","name":"s"}}"#,
]);
