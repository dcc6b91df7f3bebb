//! Learning categories, for the expressions that turn them into numbers.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, ErrorKind, Result};
use tidegate_sketch::{DISTINCT_LIMIT, Frequencies, NumberMap, Overflow, TextMap};

use super::cross::SEPARATOR;
use crate::expression::{Fit, sketch};
use crate::value::{Type, Values, each_key, read_key};

/// The texts of the categories: sorted by value for numbers, by bytes for text.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Categories {
    pub categories: Vec<String>,
}

impl Categories {
    /// The categories as they are shown in names of outputs.
    pub(super) fn shown(&self) -> impl Iterator<Item = String> {
        self.categories
            .iter()
            .map(|text| text.replace(SEPARATOR, "&"))
    }

    fn numbers(&self, kind: Type) -> Result<Vec<f64>> {
        self.categories
            .iter()
            .map(|text| {
                read_key(kind, text)
                    .ok_or_else(|| Error::state(format!("category {text:?} is not {kind}")))
            })
            .collect()
    }

    /// Where each category stands.
    pub(super) fn index(&self, kind: Type) -> Result<Index> {
        Ok(if kind == Type::Text {
            Index::Texts(TextMap::new(&self.categories))
        } else {
            Index::Numbers(NumberMap::new(&self.numbers(kind)?))
        })
    }
}

/// Where each category stands.
pub(super) enum Index {
    /// Of texts.
    Texts(TextMap),
    /// Of numbers and bools.
    Numbers(NumberMap),
}

/// Puts categories in order: of their values for numbers, of their bytes for texts.
pub(super) fn sort_categories(kind: Type, categories: &mut [&str]) {
    if kind == Type::Text {
        categories.sort_unstable();
    } else {
        categories.sort_by_cached_key(|key| {
            let value = read_key(kind, key).unwrap_or(f64::NAN);
            Ordered(value)
        });
    }
}

/// Numbers in total order.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Counts categories and keeps those that are frequent enough.
pub(super) struct Count {
    kind: Type,
    min_count: u64,
    limit: usize,
    counts: Frequencies,
    key: String,
}

impl Count {
    /// For categories of this type; at most `limit` may be kept.
    pub(super) fn new(kind: Type, min_count: u64, limit: usize) -> Option<Self> {
        Some(Self {
            kind,
            min_count,
            limit,
            counts: Frequencies::new(DISTINCT_LIMIT, Overflow::Refuse).ok()?,
            key: String::new(),
        })
    }
}

impl Fit for Count {
    type State = Categories;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        let mut outcome = Ok(());
        let counts = &mut self.counts;
        each_key(self.kind, &inputs[0], &mut self.key, |key| {
            if let (Some(key), Ok(())) = (key, &outcome) {
                outcome = counts.update(key);
            }
        });
        outcome
            .map_err(sketch)
            .map_err(|error| error.at("hash has no such limit"))
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.counts.merge(&other.counts).map_err(sketch)
    }

    fn finish(self) -> Result<Categories> {
        let mut kept: Vec<&str> = self
            .counts
            .sorted()
            .into_iter()
            .take_while(|(_, count)| *count >= self.min_count)
            .map(|(key, _)| key)
            .collect();
        if kept.len() > self.limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "finds {} categories where at most {} are possible: raise min_count, or use hash",
                    kept.len(),
                    self.limit
                ),
            ));
        }
        sort_categories(self.kind, &mut kept);
        Ok(Categories {
            categories: kept.into_iter().map(str::to_owned).collect(),
        })
    }
}
