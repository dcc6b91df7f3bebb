//! Exact counts of categories.
//!
//! Most columns have few categories, short ones: those are counted by 16 bytes, a text's view or a
//! number's bits, and become texts when there are many of them or when the counts are asked for.

use tidegate_schema::{MISSING_VIEW, Result, Strings};
use tidegate_sketch::{DISTINCT_LIMIT, Frequencies, Overflow};

use super::categories::sort_categories;
use crate::expression::sketch;
use crate::value::{Type, Values, write_key};

/// Places of the table of short ones: 64 kB.
const PLACES: usize = 2048;
/// Short ones that are counted before they become texts.
const MOST: usize = PLACES / 2;
/// Texts that are looked at together.
const TOGETHER: usize = 64;
/// Multiplier of Fibonacci hashing.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Bytes of a text of which its view holds all.
const INLINE: usize = 12;

/// Counts by 16 bytes, in a table that is at most half full; a count of 0 is a free place.
struct Short {
    places: Vec<(u128, u64)>,
    used: usize,
}

impl Short {
    const fn new() -> Self {
        Self {
            places: Vec::new(),
            used: 0,
        }
    }

    /// Counts one; false if there is no room for it.
    #[inline]
    fn add(&mut self, key: u128) -> bool {
        let mixed = key as u64 ^ ((key >> 64) as u64).rotate_left(23);
        let shift = 64 - PLACES.trailing_zeros();
        let mut at = (mixed.wrapping_mul(GOLDEN) >> shift) as usize;
        while let Some((known, count)) = self.places.get_mut(at & (PLACES - 1)) {
            if *count > 0 && *known == key {
                *count += 1;
                return true;
            }
            if *count == 0 {
                if self.used == MOST {
                    return false;
                }
                self.used += 1;
                (*known, *count) = (key, 1);
                return true;
            }
            at += 1;
        }
        // The table is made when the first is counted.
        self.places.resize(PLACES, (0, 0));
        self.add(key)
    }

    /// Takes out all that were counted.
    fn drain(&mut self) -> impl Iterator<Item = (u128, u64)> {
        self.used = 0;
        let places = std::mem::take(&mut self.places);
        places.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// Counts of categories while data comes.
pub(super) struct Tally {
    kind: Type,
    counts: Frequencies,
    short: Short,
    key: String,
}

/// Counts of categories when all data was seen.
pub(super) struct Counted {
    kind: Type,
    counts: Frequencies,
}

impl Tally {
    pub(super) fn new(kind: Type) -> Option<Self> {
        Some(Self {
            kind,
            counts: Frequencies::new(DISTINCT_LIMIT, Overflow::Refuse).ok()?,
            short: Short::new(),
            key: String::new(),
        })
    }

    pub(super) fn update(&mut self, values: &Values<'_>) -> Result<()> {
        match values {
            Values::Texts(texts) => self.update_texts(texts),
            Values::Numbers(numbers) => {
                let known = numbers.iter().filter(|number| !number.is_nan());
                // A negative zero is a zero, and would be counted beside it.
                let mut keys = known.map(|number| u128::from((number + 0.0).to_bits()));
                keys.try_for_each(|key| self.add(key))
            }
            // Types are checked when a plan is built: lists are no categories.
            Values::NumberLists(_) | Values::TextLists(_) => Ok(()),
        }
    }

    fn update_texts(&mut self, texts: &Strings<'_>) -> Result<()> {
        let mut views = [0; TOGETHER];
        for start in (0..texts.len()).step_by(TOGETHER) {
            let views = &mut views[..TOGETHER.min(texts.len() - start)];
            texts.write_views(start, views);
            for (row, &view) in views.iter().enumerate() {
                if view as u32 as usize <= INLINE {
                    self.add(view)?;
                } else if view != MISSING_VIEW {
                    let text = texts.get(start + row).unwrap_or_default();
                    self.counts.update(text).map_err(too_many)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, key: u128) -> Result<()> {
        if self.short.add(key) {
            return Ok(());
        }
        self.settle()?;
        // There is room now.
        self.short.add(key);
        Ok(())
    }

    /// Makes texts of the short ones.
    fn settle(&mut self) -> Result<()> {
        for (key, count) in self.short.drain() {
            let bytes = key.to_le_bytes();
            let text = if self.kind == Type::Text {
                // The view of a text that was one.
                let length = (key as u32 as usize).min(INLINE);
                std::str::from_utf8(&bytes[4..4 + length]).unwrap_or_default()
            } else {
                self.key.clear();
                write_key(self.kind, f64::from_bits(key as u64), &mut self.key);
                &self.key
            };
            self.counts.update_weighted(text, count).map_err(too_many)?;
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, mut other: Self) -> Result<()> {
        other.settle()?;
        self.counts.merge(&other.counts).map_err(sketch)
    }

    /// The counts of all that was seen.
    pub(super) fn finish(mut self) -> Result<Counted> {
        self.settle()?;
        Ok(Counted {
            kind: self.kind,
            counts: self.counts,
        })
    }
}

fn too_many(error: tidegate_sketch::Error) -> tidegate_schema::Error {
    sketch(error).at("hash has no such limit")
}

impl Counted {
    /// How many values were seen that are not missing.
    pub(super) const fn count(&self) -> u64 {
        self.counts.count()
    }

    /// The categories in order, with their counts.
    pub(super) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut keys: Vec<&str> = self
            .counts
            .sorted()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        sort_categories(self.kind, &mut keys);
        keys.into_iter()
            .map(|key| (key, self.counts.get(key)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schema::Validity;

    /// Few, many, short, long and missing ones, against counts one by one.
    #[test]
    fn counts_are_those_of_one_by_one() {
        let owned: Vec<String> = (0..30_000u32)
            .map(|i| match i % 5 {
                0 => format!("{}", i % 7),
                1 => format!("N{}", i % 4_001),
                2 => "é".repeat((i % 6) as usize),
                3 => format!("a text of many bytes {}", i % 11),
                _ => "\0".repeat((i % 13) as usize),
            })
            .collect();
        let slices: Vec<&str> = owned.iter().map(String::as_str).collect();
        let bits: Vec<u8> = (0..owned.len().div_ceil(8))
            .map(|i| (i * 37) as u8 | 1)
            .collect();
        let texts = Strings::slices(&slices, Validity::bitmap(&bits, 0));
        let mut tally = Tally::new(Type::Text).unwrap();
        let mut other = Tally::new(Type::Text).unwrap();
        tally
            .update(&Values::Texts(texts.slice(0, 11_111)))
            .unwrap();
        other
            .update(&Values::Texts(texts.slice(11_111, 18_889)))
            .unwrap();
        tally.merge(other).unwrap();
        let counted = tally.finish().unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for text in (0..texts.len()).filter_map(|row| texts.get(row)) {
            *expected.entry(text).or_insert(0u64) += 1;
        }
        assert_eq!(counted.count(), expected.values().sum::<u64>());
        assert_eq!(counted.sorted(), expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn zeros_are_one_number() {
        let mut tally = Tally::new(Type::Number).unwrap();
        tally
            .update(&Values::Numbers(&[0.0, -0.0, f64::NAN, 0.5, 3.0, 0.5]))
            .unwrap();
        let counted = tally.finish().unwrap();
        assert_eq!(counted.sorted(), [("0", 2), ("0.5", 2), ("3", 1)]);
    }
}
