//! Exact counts of texts, up to a bound.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, TextHash, document};

/// Most distinct texts counted one by one: with codes of some ten bytes about 10 MB.
pub const DISTINCT_LIMIT: usize = 100_000;

/// What happens to a new text when the bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It is an error: counts are exact or not at all.
    Refuse,
    /// It is counted as `other`: counts of known texts stay exact from their first sight on.
    Other,
}

/// How often each text was seen.
///
/// Exact and independent of order as long as no more than the bound's number of texts is distinct.
/// Beyond that [`Overflow`] decides; with [`Overflow::Other`] which texts were kept depends on
/// order, and `other` says how many sightings have no name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Frequencies {
    counts: HashMap<Box<str>, u64, TextHash>,
    total: u64,
    missing: u64,
    other: u64,
    limit: usize,
    overflow: Overflow,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    counts: BTreeMap<Box<str>, u64>,
    limit: usize,
    missing: u64,
    other: u64,
    overflow: Overflow,
    version: u32,
}

impl Default for Frequencies {
    fn default() -> Self {
        Self {
            counts: HashMap::default(),
            total: 0,
            missing: 0,
            other: 0,
            limit: DISTINCT_LIMIT,
            overflow: Overflow::Refuse,
        }
    }
}

impl Frequencies {
    /// No counts, for at most `limit` distinct texts (itself at most [`DISTINCT_LIMIT`]).
    pub fn new(limit: usize, overflow: Overflow) -> Result<Self> {
        if limit == 0 || limit > DISTINCT_LIMIT {
            return Err(Error::argument(format!(
                "a bound of {limit} distinct values: use 1 to {DISTINCT_LIMIT}"
            )));
        }
        Ok(Self {
            limit,
            overflow,
            ..Self::default()
        })
    }

    /// Counts one text.
    #[inline]
    pub fn update(&mut self, text: &str) -> Result<()> {
        self.update_weighted(text, 1)
    }

    /// Counts many texts; `None` is missing. After an error those before it were counted.
    pub fn update_many<'a>(
        &mut self,
        texts: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Result<()> {
        for text in texts {
            match text {
                Some(text) => self.update(text)?,
                None => self.missing += 1,
            }
        }
        Ok(())
    }

    /// Counts a text `weight` times; a weight of 0 counts nothing.
    pub fn update_weighted(&mut self, text: &str, weight: u64) -> Result<()> {
        if let Some(count) = self.counts.get_mut(text) {
            *count += weight;
        } else if weight == 0 {
            return Ok(());
        } else if self.counts.len() < self.limit {
            self.counts.insert(text.into(), weight);
        } else if self.overflow == Overflow::Other {
            self.other += weight;
        } else {
            return Err(Error::limit(format!(
                "more than {} distinct values: hash the column, or leave it out",
                self.limit
            )));
        }
        self.total += weight;
        Ok(())
    }

    /// Counts `count` missing values.
    pub fn update_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Takes in all that another has seen, under this one's bound. After an error the counts are
    /// those of a part of the other.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.missing += other.missing;
        // Sorted, so that what overflows does not depend on the order of a hash table.
        for (text, count) in other.sorted() {
            self.update_weighted(text, count)?;
        }
        self.other += other.other;
        self.total += other.other;
        Ok(())
    }

    /// Texts and their counts, the most frequent first, equal counts in order of the text.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut pairs: Vec<(&str, u64)> =
            self.counts.iter().map(|(text, &n)| (&**text, n)).collect();
        pairs.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        pairs
    }

    /// How often a text was seen.
    #[must_use]
    pub fn get(&self, text: &str) -> u64 {
        self.counts.get(text).copied().unwrap_or(0)
    }

    /// Distinct texts that are counted one by one.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// All texts seen, those in `other` among them; without the missing.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// Missing values seen.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Sightings of texts that came after the bound was reached.
    #[must_use]
    pub const fn other(&self) -> u64 {
        self.other
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Frequencies::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("frequencies", text)
    }
}

impl PartialEq for Frequencies {
    fn eq(&self, other: &Self) -> bool {
        (self.total, self.missing, self.other) == (other.total, other.missing, other.other)
            && (self.limit, self.overflow) == (other.limit, other.overflow)
            && self.counts == other.counts
    }
}

impl From<Frequencies> for Document {
    fn from(frequencies: Frequencies) -> Self {
        Self {
            counts: frequencies.counts.into_iter().collect(),
            limit: frequencies.limit,
            missing: frequencies.missing,
            other: frequencies.other,
            overflow: frequencies.overflow,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for Frequencies {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("frequencies", document.version)?;
        let mut frequencies = Self::new(document.limit, document.overflow)?;
        let mut total = document.other;
        for (text, count) in document.counts {
            total = total
                .checked_add(count)
                .ok_or_else(|| Error::state("frequencies whose counts overflow 64 bits"))?;
            if frequencies.counts.len() >= document.limit {
                return Err(Error::state(
                    "frequencies with more values than their bound",
                ));
            }
            frequencies.counts.insert(text, count);
        }
        frequencies.total = total;
        frequencies.missing = document.missing;
        frequencies.other = document.other;
        Ok(frequencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(texts: &[String]) -> Frequencies {
        let mut frequencies = Frequencies::default();
        for text in texts {
            frequencies.update(text).unwrap();
        }
        frequencies
    }

    proptest! {
        #[test]
        fn merged_pieces_equal_the_whole(texts in prop::collection::vec("[a-cé]{0,3}", 0..200), cut in 0.0..1.0f64) {
            let cut = (texts.len() as f64 * cut) as usize;
            let whole = of(&texts);
            let mut merged = of(&texts[cut..]);
            merged.merge(&of(&texts[..cut])).unwrap();
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.to_json(), whole.to_json());
            prop_assert_eq!(&Frequencies::from_json(&whole.to_json()).unwrap(), &whole);
            prop_assert_eq!(whole.sorted().iter().map(|pair| pair.1).sum::<u64>(), whole.count());
        }
    }

    #[test]
    fn sorted_by_count_then_text() {
        let frequencies = of(&["b", "a", "c", "c"].map(String::from));
        assert_eq!(frequencies.sorted(), [("c", 2), ("a", 1), ("b", 1)]);
        assert_eq!((frequencies.get("c"), frequencies.get("d")), (2, 0));
    }

    #[test]
    fn the_bound_refuses_or_gathers() {
        let mut strict = Frequencies::new(2, Overflow::Refuse).unwrap();
        let mut lax = Frequencies::new(2, Overflow::Other).unwrap();
        for text in ["a", "b", "a"] {
            strict.update(text).unwrap();
            lax.update(text).unwrap();
        }
        assert_eq!(
            strict.update("c").unwrap_err().kind,
            crate::ErrorKind::Limit
        );
        assert_eq!(strict.count(), 3);
        lax.update("c").unwrap();
        assert_eq!((lax.other(), lax.count(), lax.distinct()), (1, 4, 2));
        assert!(Frequencies::new(0, Overflow::Other).is_err());
    }
}
