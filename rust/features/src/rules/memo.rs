//! What a rule says of short texts, remembered: the expression runs once for each different text
//! and not once for each row.

use tidegate_schema::{LONG_TEXT, MISSING_TEXT, Result, Strings};

use super::fused::Predicate;

/// Multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Places of a new table.
const PLACES: usize = 1 << 8;
/// Most texts that are remembered. A column of more is no column of codes, and is computed.
const MOST: usize = 1 << 15;

/// What a rule says of a text.
const FAILS: u8 = 0;
const HOLDS: u8 = 1;
const UNKNOWN: u8 = 2;

const fn verdict(said: f64) -> u8 {
    if said.is_nan() {
        UNKNOWN
    } else if said == 0.0 {
        FAILS
    } else {
        HOLDS
    }
}

/// Words and what is said of them: open addressing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<(u64, u8)>,
    shift: u32,
    len: usize,
    /// What is said of a missing text, once that is known.
    missing: Option<u8>,
    /// Were there more texts than are remembered?
    given_up: bool,
    words: Vec<u64>,
}

impl Memo {
    /// How many rows of a morsel break the rule, and how many it says nothing of.
    pub fn count(&mut self, texts: Strings<'_>, predicate: &Predicate) -> Result<(u64, u64)> {
        let mut words = std::mem::take(&mut self.words);
        let short = !self.given_up && {
            words.clear();
            words.resize(texts.len(), 0);
            texts.words(&mut words);
            !words.contains(&LONG_TEXT)
        };
        let outcome = if short {
            self.remembered(&words, texts, predicate)
        } else {
            computed(texts, predicate)
        };
        self.words = words;
        outcome
    }

    fn remembered(
        &mut self,
        words: &[u64],
        texts: Strings<'_>,
        predicate: &Predicate,
    ) -> Result<(u64, u64)> {
        if self.places.is_empty() {
            self.grow();
        }
        let (mut failures, mut unknown) = (0, 0);
        for (row, &word) in words.iter().enumerate() {
            let said = match self.find(word) {
                Some(said) => said,
                None => self.learn(word, texts.get(row), predicate)?,
            };
            failures += u64::from(said == FAILS);
            unknown += u64::from(said == UNKNOWN);
        }
        Ok((failures, unknown))
    }

    #[inline]
    fn find(&self, word: u64) -> Option<u8> {
        if word == MISSING_TEXT {
            return self.missing;
        }
        let mask = self.places.len() - 1;
        let mut at = (word.wrapping_mul(GOLDEN) >> self.shift) as usize;
        loop {
            let (found, said) = self.places[at & mask];
            if found == word {
                return Some(said);
            }
            if found == MISSING_TEXT {
                return None;
            }
            at += 1;
        }
    }

    #[cold]
    fn learn(&mut self, word: u64, text: Option<&str>, predicate: &Predicate) -> Result<u8> {
        let said = verdict(predicate.ask(text)?);
        if word == MISSING_TEXT {
            self.missing = Some(said);
            return Ok(said);
        }
        if self.len >= MOST {
            self.given_up = true;
            return Ok(said);
        }
        if self.len * 2 >= self.places.len() {
            self.grow();
        }
        self.put(word, said);
        self.len += 1;
        Ok(said)
    }

    fn put(&mut self, word: u64, said: u8) {
        let mask = self.places.len() - 1;
        let mut at = (word.wrapping_mul(GOLDEN) >> self.shift) as usize & mask;
        while self.places[at].0 != MISSING_TEXT {
            at = (at + 1) & mask;
        }
        self.places[at] = (word, said);
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 4).max(PLACES);
        let before = std::mem::replace(&mut self.places, vec![(MISSING_TEXT, 0); size]);
        self.shift = 64 - size.trailing_zeros();
        for (word, said) in before {
            if word != MISSING_TEXT {
                self.put(word, said);
            }
        }
    }
}

fn computed(texts: Strings<'_>, predicate: &Predicate) -> Result<(u64, u64)> {
    let (mut failures, mut unknown) = (0, 0);
    predicate.run(texts, |values| {
        for value in values {
            failures += u64::from(*value == 0.0);
            unknown += u64::from(value.is_nan());
        }
    })?;
    Ok((failures, unknown))
}
