//! The most frequent texts of a stream that may hold any number of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, document};

/// Texts that [`FrequentItems::new`] tells apart.
pub const FREQUENT_LIMIT: usize = 1024;
/// Most texts that can be told apart.
pub const MAX_FREQUENT_LIMIT: usize = 1 << 20;

/// Frequent texts in bounded memory (Misra and Gries 1982; merging as in Agarwal and others 2012,
/// "Mergeable summaries").
///
/// Counters stand for at most `2 k` texts; when they are used up, the count of the `(k + 1)`-th
/// is taken from all and empty ones go. A count is never too great and at most
/// [`FrequentItems::error`] too small, which itself never exceeds `n / (k + 1)` of the `n` texts
/// seen, merged or not. So every text with more sightings than that is among the items. Exact, in
/// any order, up to `2 k` distinct texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FrequentItems {
    /// Keyed hashing: the table is bounded, but a stranger may choose what is in it.
    counts: HashMap<Box<str>, u64, RandomState>,
    limit: usize,
    total: u64,
    missing: u64,
    error: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    counts: BTreeMap<Box<str>, u64>,
    error: u64,
    limit: usize,
    missing: u64,
    total: u64,
    version: u32,
}

impl Default for FrequentItems {
    fn default() -> Self {
        Self {
            counts: HashMap::default(),
            limit: FREQUENT_LIMIT,
            total: 0,
            missing: 0,
            error: 0,
        }
    }
}

impl FrequentItems {
    /// No items, for a bound of `n / (limit + 1)` on the error; at most [`MAX_FREQUENT_LIMIT`].
    pub fn new(limit: usize) -> Result<Self> {
        if limit == 0 || limit > MAX_FREQUENT_LIMIT {
            return Err(Error::argument(format!(
                "a limit of {limit} frequent items: use 1 to {MAX_FREQUENT_LIMIT}"
            )));
        }
        Ok(Self {
            limit,
            ..Self::default()
        })
    }

    /// Counts one text.
    #[inline]
    pub fn update(&mut self, text: &str) {
        self.update_weighted(text, 1);
    }

    /// Counts many texts; `None` is missing.
    pub fn update_many<'a>(&mut self, texts: impl IntoIterator<Item = Option<&'a str>>) {
        for text in texts {
            match text {
                Some(text) => self.update(text),
                None => self.missing += 1,
            }
        }
    }

    /// Counts a text `weight` times; a weight of 0 counts nothing.
    pub fn update_weighted(&mut self, text: &str, weight: u64) {
        if weight == 0 {
            return;
        }
        self.total += weight;
        if let Some(count) = self.counts.get_mut(text) {
            *count += weight;
            return;
        }
        self.counts.insert(text.into(), weight);
        self.purge();
    }

    /// Counts `count` missing values.
    pub fn update_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Makes room once all counters are used: what is taken is taken from more than `limit` texts at
    /// once, so it cannot be much.
    fn purge(&mut self) {
        if self.counts.len() <= 2 * self.limit {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let place = self.limit;
        let (_, &mut taken, _) = counts.select_nth_unstable_by(place, |a, b| b.cmp(a));
        self.error += taken;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(taken);
            *count > 0
        });
    }

    /// Takes in all that another with the same limit has seen; the bound holds for both together.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.limit != other.limit {
            return Err(Error::argument(format!(
                "frequent items with limits of {} and {} do not merge: make both alike",
                self.limit, other.limit
            )));
        }
        self.total += other.total;
        self.missing += other.missing;
        self.error += other.error;
        for (text, &count) in &other.counts {
            *self.counts.entry(text.clone()).or_insert(0) += count;
        }
        self.purge();
        Ok(())
    }

    /// Texts with the least and the most that they can have been seen, the most frequent first, equal
    /// ones in order of the text.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&str, u64, u64)> {
        let mut items: Vec<_> = self
            .counts
            .iter()
            .map(|(text, &count)| (&**text, count, count + self.error))
            .collect();
        items.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        items
    }

    /// The least and the most that a text can have been seen.
    #[must_use]
    pub fn get(&self, text: &str) -> (u64, u64) {
        let count = self.counts.get(text).copied().unwrap_or(0);
        (count, (count + self.error).min(self.total))
    }

    /// How much too small a count can be; at most `count / (limit + 1)`.
    #[must_use]
    pub const fn error(&self) -> u64 {
        self.error
    }

    /// All texts seen, without the missing.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// Missing values seen.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Texts that have a counter.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Has no text a counter?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`FrequentItems::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("frequent items", text)
    }
}

impl PartialEq for FrequentItems {
    fn eq(&self, other: &Self) -> bool {
        (self.limit, self.total, self.missing, self.error)
            == (other.limit, other.total, other.missing, other.error)
            && self.counts == other.counts
    }
}

impl From<FrequentItems> for Document {
    fn from(items: FrequentItems) -> Self {
        Self {
            counts: items.counts.into_iter().collect(),
            error: items.error,
            limit: items.limit,
            missing: items.missing,
            total: items.total,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for FrequentItems {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("frequent items", document.version)?;
        let mut items = Self::new(document.limit)?;
        let mut held = document.error;
        for &count in document.counts.values() {
            held = held
                .checked_add(count)
                .ok_or_else(|| Error::state("frequent items whose counts overflow 64 bits"))?;
        }
        let room = document.counts.len() <= 2 * document.limit;
        if !room || held > document.total || document.counts.values().any(|&count| count == 0) {
            return Err(Error::state(
                "frequent items whose counts contradict their total",
            ));
        }
        items.counts = document.counts.into_iter().collect();
        items.total = document.total;
        items.missing = document.missing;
        items.error = document.error;
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_within_the_bound(
            texts in prop::collection::vec(prop_oneof![2 => 0u32..4, 3 => 0u32..60, 1 => 0u32..1000], 0..1500),
            limit in 1usize..20,
            cuts in prop::collection::vec(0.0..1.0f64, 0..4),
        ) {
            let mut ends: Vec<usize> = cuts.iter().map(|c| (c * texts.len() as f64) as usize).collect();
            ends.push(texts.len());
            ends.sort_unstable();
            let (mut merged, mut begin) = (FrequentItems::new(limit).unwrap(), 0);
            for end in ends {
                let mut part = FrequentItems::new(limit).unwrap();
                texts[begin..end].iter().for_each(|text| part.update(&text.to_string()));
                merged.merge(&part).unwrap();
                begin = end;
            }
            prop_assert_eq!(merged.count(), texts.len() as u64);
            prop_assert!(merged.error() * (limit as u64 + 1) <= merged.count());
            prop_assert!(merged.len() <= 2 * limit);
            for text in 0..1000 {
                let due = texts.iter().filter(|&&x| x == text).count() as u64;
                let (low, high) = merged.get(&text.to_string());
                prop_assert!(low <= due && due <= high, "{} {} {}", low, due, high);
            }
            prop_assert_eq!(&FrequentItems::from_json(&merged.to_json()).unwrap(), &merged);
        }
    }

    #[test]
    fn damaged_state_is_refused() {
        let mut items = FrequentItems::new(2).unwrap();
        items.update_many([Some("a"), Some("b"), None, Some("a")]);
        assert_eq!(items.sorted(), [("a", 2, 2), ("b", 1, 1)]);
        assert_eq!((items.count(), items.missing(), items.error()), (3, 1, 0));
        let good = items.to_json();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"limit\":2", "\"limit\":0"),
            ("\"total\":3", "\"total\":2"),
            ("\"b\":1", "\"b\":0"),
        ] {
            assert!(good.contains(from), "{good}");
            assert!(
                FrequentItems::from_json(&good.replace(from, to)).is_err(),
                "{to}"
            );
        }
        assert!(items.merge(&FrequentItems::new(3).unwrap()).is_err());
        assert!(FrequentItems::new(0).is_err());
    }
}
