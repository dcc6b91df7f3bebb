//! What is logged, and what of it nobody may read.

use ring::hmac;
use tidegate_schema::{Column, Error, Result};

use crate::PredictionId;

/// Least bytes of the key of hashes: with fewer, values could be guessed.
const LEAST_KEY: usize = 16;

/// What is logged, and what of it nobody may read.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The share of predictions that are logged.
    pub sample: f64,
    /// Shares of models by pattern, in which `*` stands for any characters; the first that fits
    /// counts.
    pub shares: Vec<(String, f64)>,
    /// Predictions that took at least so many seconds are always logged.
    pub slower: Option<f64>,
    /// Columns that are left out.
    pub redact: Vec<String>,
    /// Columns whose values are replaced by keyed hashes.
    pub hash: Vec<String>,
    /// The key of the hashes.
    pub(super) key: Option<hmac::Key>,
}

/// What of a value may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disclosed {
    /// Nothing: its column is left out.
    Nothing,
    /// Its keyed hash; `None` of a value that is missing.
    Hash(Option<String>),
    /// The value itself.
    Itself,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            sample: 1.0,
            shares: Vec::new(),
            slower: None,
            redact: Vec::new(),
            hash: Vec::new(),
            key: None,
        }
    }
}

impl Rules {
    /// The key of the hashes.
    ///
    /// # Errors
    /// `InvalidInput` for one that is too short.
    pub fn with_key(mut self, key: &[u8]) -> Result<Self> {
        if key.len() < LEAST_KEY {
            return Err(Error::invalid(format!(
                "the key of the log's hashes has {} bytes: give at least {LEAST_KEY} random ones",
                key.len()
            )));
        }
        self.key = Some(hmac::Key::new(hmac::HMAC_SHA256, key));
        Ok(self)
    }

    /// # Errors
    /// `InvalidInput` for shares outside of 0..1, and for hashes without a key.
    pub fn check(&self) -> Result<()> {
        let shares = self.shares.iter().map(|(_, share)| *share);
        if let Some(share) = shares
            .chain([self.sample])
            .find(|share| !(0.0..=1.0).contains(share))
        {
            return Err(Error::invalid(format!(
                "a share of {share} of predictions to be logged: use 0 to 1"
            )));
        }
        if !self.hash.is_empty() && self.key.is_none() {
            return Err(Error::invalid(format!(
                "the log is to hash {} without a key: give one, or the values could be guessed",
                self.hash.join(", ")
            )));
        }
        Ok(())
    }

    /// The share of a model's predictions.
    pub(crate) fn share(&self, model: &str) -> f64 {
        let named = self.shares.iter();
        named
            .into_iter()
            .find(|(pattern, _)| matches(pattern.as_bytes(), model.as_bytes()))
            .map_or(self.sample, |(_, share)| *share)
    }

    /// Is this prediction logged? Decided by its id, so that all of its rows and pieces are, or none.
    pub(crate) fn keeps(&self, share: f64, id: PredictionId, seconds: f64) -> bool {
        self.slower.is_some_and(|bound| seconds >= bound) || unit(id) < share
    }

    /// What of a value of a column these rules let anybody keep.
    #[must_use]
    pub fn disclosed(&self, name: &str, column: &Column<'_>, row: usize) -> Disclosed {
        if self.redacts(name) {
            Disclosed::Nothing
        } else if self.hashes(name) {
            Disclosed::Hash(text(column, row).map(|text| self.hashed(&text)))
        } else {
            Disclosed::Itself
        }
    }

    pub(crate) fn redacts(&self, column: &str) -> bool {
        self.redact.iter().any(|name| name == column)
    }

    pub(crate) fn hashes(&self, column: &str) -> bool {
        self.hash.iter().any(|name| name == column)
    }

    /// The keyed hash of a value, as 32 hexadecimal digits.
    pub(crate) fn hashed(&self, value: &str) -> String {
        let Some(key) = &self.key else {
            return String::new();
        };
        let tag = hmac::sign(key, value.as_bytes());
        let digits = tag.as_ref().iter().take(16);
        digits.map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A value as text, for its hash.
pub(super) fn text(column: &Column<'_>, row: usize) -> Option<String> {
    match column {
        Column::Bool(values) => values.get(row).map(|value| (value != 0).to_string()),
        Column::Int64(values)
        | Column::Timestamp(values)
        | Column::Date(values)
        | Column::Duration(values) => values.get(row).map(|value| value.to_string()),
        Column::Float64(values) => {
            let value = values.get(row).filter(|value| !value.is_nan());
            value.map(|value| value.to_string())
        }
        Column::String(values) => values.get(row).map(str::to_owned),
        Column::NumberList(lists) => lists.get(row).map(|list| format!("{list:?}")),
        Column::TextList(lists) => {
            let list = lists.get(row)?;
            Some(format!("{:?}", list.collect::<Vec<_>>()))
        }
    }
}

/// A number in 0..1 that is as good as drawn (the finaliser of SplitMix64).
fn unit(id: PredictionId) -> f64 {
    let mut x = id.prefix ^ id.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Does a pattern in which `*` stands for any characters fit?
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => {
            // Runs of stars are one.
            rest.is_empty() || (0..=text.len()).any(|n| matches(rest, &text[n..]))
        }
        Some((byte, rest)) => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{ColumnBuf, DType};

    use super::*;

    #[test]
    fn what_may_be_kept_of_a_value() {
        let rules = Rules {
            redact: vec!["email".to_owned()],
            hash: vec!["name".to_owned()],
            ..Rules::default()
        };
        let rules = rules.with_key(&[7; 32]).unwrap();
        let mut column = ColumnBuf::new(DType::String, 2);
        column.push_str("Ada").unwrap();
        column.push_null();
        let view = column.view();
        assert_eq!(rules.disclosed("email", &view, 0), Disclosed::Nothing);
        let hash = Disclosed::Hash(Some(rules.hashed("Ada")));
        assert_eq!(rules.disclosed("name", &view, 0), hash);
        assert_eq!(rules.disclosed("name", &view, 1), Disclosed::Hash(None));
        assert_eq!(rules.disclosed("city", &view, 0), Disclosed::Itself);
    }

    #[test]
    fn the_share_holds_and_pieces_stay_together() {
        let rules = Rules::default();
        let id = |count| PredictionId { prefix: 99, count };
        let kept = (0..100_000)
            .filter(|n| rules.keeps(0.1, id(*n), 0.0))
            .count();
        assert!((9_500..10_500).contains(&kept), "{kept}");
        assert!(rules.keeps(1.0, id(1), 0.0) && !rules.keeps(0.0, id(1), 0.0));
        let slow = Rules {
            slower: Some(0.1),
            ..Rules::default()
        };
        assert!(slow.keeps(0.0, id(1), 0.1) && !slow.keeps(0.0, id(1), 0.09));
    }

    #[test]
    fn shares_go_by_the_first_pattern() {
        let rules = Rules {
            sample: 0.5,
            shares: vec![("fraud".to_owned(), 1.0), ("f*-test".to_owned(), 0.0)],
            ..Rules::default()
        };
        let found = ["fraud", "fx-test", "f-tests", "other"].map(|model| rules.share(model));
        assert_eq!(found, [1.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Rules::default().check().is_ok());
        let sample = Rules {
            sample: 1.5,
            ..Rules::default()
        };
        assert!(sample.check().unwrap_err().message.contains("0 to 1"));
        let hash = Rules {
            hash: vec!["name".to_owned()],
            ..Rules::default()
        };
        assert!(hash.check().unwrap_err().message.contains("key"));
        assert!(hash.clone().with_key(b"short").is_err());
        let keyed = hash.with_key(&[7; 32]).unwrap();
        keyed.check().unwrap();
        assert_eq!(keyed.hashed("a").len(), 32);
        assert!(keyed.hashed("a") == keyed.hashed("a") && keyed.hashed("a") != keyed.hashed("b"));
    }
}
