//! The number of a category, from 1 in order, as digits: a column for each, the highest first
//! (binary encoding with base 2). Few columns for many categories. Rare and unseen categories are 0
//! in all digits; missing is missing in all.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::categories::{Categories, Count, Index, Keep, category, check_count};
use crate::expression::{Entry, Expression};
use crate::kernel::Kernel;
use crate::value::Type;

/// Largest base.
const MAX_BASE: u32 = 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseN {
    #[serde(default = "two")]
    base: u32,
    #[serde(default = "one")]
    min_count: u64,
}

const fn two() -> u32 {
    2
}

const fn one() -> u64 {
    1
}

impl BaseN {
    /// How many digits the numbers up to `categories` have.
    fn digits(&self, categories: usize) -> usize {
        let (mut digits, mut rest) = (1, categories / self.base as usize);
        while rest > 0 {
            digits += 1;
            rest /= self.base as usize;
        }
        digits
    }
}

impl Expression for BaseN {
    const NAME: &'static str = "base_n";
    type Fit = Count;

    fn check(&self) -> Result<()> {
        check_count(self.min_count)?;
        if (2..=MAX_BASE).contains(&self.base) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "base {}: use 2 to {MAX_BASE}",
            self.base
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        category(inputs).map(|()| Type::Columns)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Count> {
        let keep = Keep::frequent(self.min_count, tidegate_sketch::DISTINCT_LIMIT);
        Count::new(inputs.first().copied()?, keep)
    }

    fn kernel(&self, state: Categories, inputs: &[Type]) -> Result<Kernel> {
        let kind = inputs.first().copied().unwrap_or(Type::Text);
        let count = self.digits(state.categories.len());
        let base = self.base as usize;
        let weights: Vec<usize> = (0..count as u32).rev().map(|at| base.pow(at)).collect();
        let digits = move |found: Option<usize>, digit: usize| {
            (found.map_or(0, |position| position + 1) / weights[digit] % base) as f64
        };
        let index = state.index(kind)?;
        Ok(Kernel::Columns {
            count,
            run: Box::new(move |inputs, mut columns| {
                let mut write = |row: usize, found: Option<Option<usize>>| {
                    for digit in 0..count {
                        let value = found.map_or(f64::NAN, |found| digits(found, digit));
                        columns.set(row, digit, value);
                    }
                };
                match &index {
                    Index::Texts(map) => {
                        let mut row = 0;
                        inputs[0].texts().for_each(|text| {
                            write(row, text.map(|text| map.get(text)));
                            row += 1;
                        });
                    }
                    Index::Numbers(map) => {
                        for (row, &value) in inputs[0].numbers().iter().enumerate() {
                            write(row, (!value.is_nan()).then(|| map.get(value)));
                        }
                    }
                }
            }),
        })
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_base{}", self.base)
    }

    fn suffixes(&self, state: &Categories) -> Vec<String> {
        (0..self.digits(state.categories.len()))
            .map(|digit| format!("_{digit}"))
            .collect()
    }
}

pub(super) const ENTRY: Entry = Entry::of::<BaseN>(&[
    r#"{"op":"base_n","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"base_n","base":3,"min_count":2,"input":{"op":"col","name":"n"}}"#,
]);
