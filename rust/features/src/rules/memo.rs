//! What a rule says of short texts, remembered: the expression runs once for each different text
//! and not once for each row.

use tidegate_schema::{LONG_TEXT, MISSING_TEXT, Result, Strings};

use super::fused::Predicate;
use crate::program::MORSEL_ROWS;

/// Multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Places of a new table.
const PLACES: usize = 1 << 8;
/// Most texts that are remembered. A column of more is no column of codes, and is computed.
const MOST: usize = 1 << 15;

/// What a rule says of a text, as two bits of its word that no text of seven bytes has. Nearly all
/// texts hold: theirs is the word as it is.
const HOLDS: u64 = 0;
const FAILS: u64 = 1;
const UNKNOWN: u64 = 2;
const SHIFT: u32 = 60;
const SAID: u64 = 3 << SHIFT;
/// A place where nothing is: no word, with whatever bits, that is looked up or put in.
const VACANT: u64 = 0xff << 56;

const fn verdict(said: f64) -> u64 {
    if said.is_nan() {
        UNKNOWN
    } else if said == 0.0 {
        FAILS
    } else {
        HOLDS
    }
}

/// Words with what is said of them: open addressing, at most half full. Eight bytes a text, so that
/// thousands of them stay in the cache.
#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<u64>,
    shift: u32,
    len: usize,
    /// What is said of a missing text, once that is known.
    missing: Option<u64>,
    /// Were there more texts than are remembered?
    given_up: bool,
    words: Vec<u64>,
}

impl Memo {
    /// How many rows break the rule, and how many it says nothing of.
    pub fn count(&mut self, texts: Strings<'_>, predicate: &Predicate) -> Result<(u64, u64)> {
        let (mut failures, mut unknown) = (0, 0);
        let mut words = std::mem::take(&mut self.words);
        for start in (0..texts.len()).step_by(MORSEL_ROWS) {
            let morsel = texts.slice(start, MORSEL_ROWS.min(texts.len() - start));
            let counted = if self.given_up {
                computed(morsel, predicate)?
            } else {
                if words.len() < morsel.len() {
                    words.resize(morsel.len(), 0);
                }
                let words = words.get_mut(..morsel.len()).unwrap_or_default();
                morsel.words(words);
                self.remembered(words, morsel, predicate)?
            };
            failures += counted.0;
            unknown += counted.1;
        }
        self.words = words;
        Ok((failures, unknown))
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
        let (mut failures, mut unknown, mut row) = (0, 0, 0);
        loop {
            row += self.holding(words.get(row..).unwrap_or_default());
            let Some(&word) = words.get(row) else {
                return Ok((failures, unknown));
            };
            if word == LONG_TEXT {
                // Where one is long others are: the engine looks at the rest.
                let rest = computed(texts.slice(row, texts.len() - row), predicate)?;
                return Ok((failures + rest.0, unknown + rest.1));
            }
            let at = (word.wrapping_mul(GOLDEN) >> self.shift) as usize;
            let said = self.search(word, at, texts, row, predicate)?;
            failures += u64::from(said == FAILS);
            unknown += u64::from(said == UNKNOWN);
            row += 1;
        }
    }

    /// How many of the first texts hold by a look at their first place alone: nearly all do.
    fn holding(&self, words: &[u64]) -> usize {
        let (places, shift) = (self.places.as_slice(), self.shift);
        let others = words.iter().position(|&word| {
            let at = (word.wrapping_mul(GOLDEN) >> shift) as usize;
            places.get(at).copied() != Some(word)
        });
        others.unwrap_or(words.len())
    }

    /// What is said of a text that is not in the first place where it may stand.
    fn search(
        &mut self,
        word: u64,
        mut at: usize,
        texts: Strings<'_>,
        row: usize,
        predicate: &Predicate,
    ) -> Result<u64> {
        if word == MISSING_TEXT {
            if let Some(said) = self.missing {
                return Ok(said);
            }
            let said = verdict(predicate.ask(None)?);
            self.missing = Some(said);
            return Ok(said);
        }
        let mask = self.places.len() - 1;
        loop {
            let found = self.places[at & mask];
            if found == VACANT {
                break;
            }
            if found & !SAID == word {
                return Ok(found >> SHIFT & 3);
            }
            at += 1;
        }
        let said = verdict(predicate.ask(texts.get(row))?);
        if self.len >= MOST {
            self.given_up = true;
            return Ok(said);
        }
        self.len += 1;
        if self.len * 2 > self.places.len() {
            self.grow();
        }
        self.put(word | said << SHIFT);
        Ok(said)
    }

    fn put(&mut self, said: u64) {
        let mask = self.places.len() - 1;
        let mut at = ((said & !SAID).wrapping_mul(GOLDEN) >> self.shift) as usize & mask;
        while self.places[at] != VACANT {
            at = (at + 1) & mask;
        }
        self.places[at] = said;
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 4).max(PLACES);
        let before = std::mem::replace(&mut self.places, vec![VACANT; size]);
        self.shift = 64 - size.trailing_zeros();
        for said in before {
            if said != VACANT {
                self.put(said);
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
