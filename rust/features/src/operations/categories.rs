//! Learning categories, for the expressions that turn them into numbers.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, ErrorKind, Result, Strings};
use tidegate_sketch::{NumberMap, TextMap};

use super::cross::SEPARATOR;
use super::tally::Tally;
use crate::expression::{Fit, takes};
use crate::value::{Type, Values, read_key};

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

/// The place of a missing value: beyond all others.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Texts that are looked up together.
const TOGETHER: usize = 64;

impl Index {
    /// Writes where the values of the rows from `start` on stand: `unknown` for those that stand
    /// nowhere, [`NOWHERE`] for missing ones.
    pub(super) fn places(&self, values: &Values<'_>, start: usize, unknown: u32, out: &mut [u32]) {
        match (self, values) {
            (Self::Texts(map), Values::Texts(texts)) => {
                text_places(map, texts, start, unknown, out);
            }
            (Self::Numbers(map), Values::Numbers(numbers)) => {
                for (out, &number) in out.iter_mut().zip(&numbers[start..]) {
                    let found = map.get(number).map_or(unknown, |place| place as u32);
                    *out = if number.is_nan() { NOWHERE } else { found };
                }
            }
            // Types are checked when a plan is built.
            _ => out.fill(NOWHERE),
        }
    }

    /// Calls `each` with the place of every row in turn, as [`Index::places`] writes them.
    #[inline]
    pub(super) fn each_place(
        &self,
        values: &Values<'_>,
        rows: usize,
        unknown: u32,
        mut each: impl FnMut(u32),
    ) {
        let mut places = [0; TOGETHER];
        for start in (0..rows).step_by(TOGETHER) {
            let places = &mut places[..TOGETHER.min(rows - start)];
            self.places(values, start, unknown, places);
            places.iter().for_each(|&place| each(place));
        }
    }
}

/// Where texts stand, as [`Index::places`] says.
fn text_places(map: &TextMap, texts: &Strings<'_>, start: usize, unknown: u32, out: &mut [u32]) {
    let place = |found: Option<usize>| found.map_or(unknown, |place| place as u32);
    if let [out] = out {
        // The views of several are made and looked up side by side; one is sooner read as it is.
        *out = texts
            .get(start)
            .map_or(NOWHERE, |text| place(map.get(text)));
        return;
    }
    let mut views = [0; TOGETHER];
    for (at, out) in out.chunks_mut(TOGETHER).enumerate() {
        let start = start + at * TOGETHER;
        let views = &mut views[..out.len()];
        texts.write_views(start, views);
        // A view that is only a beginning is never that of a missing text.
        map.find_all(views, unknown, out, |row| {
            texts.get(start + row).unwrap_or_default()
        });
        texts.validity().skip(start).each_missing(out.len(), |row| {
            if let Some(out) = out.get_mut(row) {
                *out = NOWHERE;
            }
        });
    }
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

/// Which categories are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Those seen so often.
    pub min_count: u64,
    /// Those that make up so large a part of what is not missing.
    pub min_share: f64,
    /// The most frequent so many; of equally frequent ones the last in order.
    pub most: usize,
    /// More than this is an error.
    pub limit: usize,
}

impl Keep {
    /// All that were seen so often, up to `limit`.
    pub(super) const fn frequent(min_count: u64, limit: usize) -> Self {
        Self {
            min_count,
            min_share: 0.0,
            most: usize::MAX,
            limit,
        }
    }
}

/// Checks how often a category is to be seen.
pub(super) fn check_count(min_count: u64) -> Result<()> {
    if min_count > 0 {
        return Ok(());
    }
    Err(Error::invalid(
        "min_count is 0: use 1 to keep every category",
    ))
}

/// Checks that the input can be a category.
pub(super) fn category(inputs: &[Type]) -> Result<()> {
    match inputs.iter().find(|kind| !kind.is_category()) {
        None => Ok(()),
        Some(kind) => Err(takes("a string, number or bool", *kind)),
    }
}

/// Counts categories and keeps those that are frequent enough.
pub(super) struct Count {
    tally: Tally,
    keep: Keep,
}

impl Count {
    /// For categories of this type.
    pub(super) fn new(kind: Type, keep: Keep) -> Option<Self> {
        Some(Self {
            tally: Tally::new(kind)?,
            keep,
        })
    }
}

impl Fit for Count {
    type State = Categories;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        self.tally.update(&inputs[0])
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.tally.merge(other.tally)
    }

    fn finish(self) -> Result<Categories> {
        let counted = self.tally.finish()?;
        let least = self.keep.min_share * counted.count() as f64;
        let mut kept = counted.sorted();
        kept.retain(|(_, count)| *count >= self.keep.min_count && *count as f64 >= least);
        if kept.len() > self.keep.most {
            let mut counts: Vec<(u64, usize)> = kept
                .iter()
                .enumerate()
                .map(|(position, (_, count))| (*count, position))
                .collect();
            counts.sort_unstable();
            let first = counts[counts.len() - self.keep.most];
            let mut position = 0;
            kept.retain(|(_, count)| {
                position += 1;
                (*count, position - 1) >= first
            });
        }
        if kept.len() > self.keep.limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "finds {} categories where at most {} are possible: raise min_count, or use hash",
                    kept.len(),
                    self.keep.limit
                ),
            ));
        }
        Ok(Categories {
            categories: kept.into_iter().map(|(key, _)| key.to_owned()).collect(),
        })
    }
}
