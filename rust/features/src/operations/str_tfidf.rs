//! Terms of a text that `fit` has seen, a column for each: how often the term occurs, times the
//! logarithm of how rare texts with it are, divided by the length of the row (scikit-learn's
//! `TfidfVectorizer`). Columns are in order of the terms' bytes. Missing is 0 in all columns, and is
//! no text to learn from.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, ErrorKind, Result};
use tidegate_sketch::{TextHash, TextMap};

use super::tokens::{Scratch, Terms, add_up, normalize};
use crate::expression::{Entry, Expression, Fit, text};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Most terms that have a column.
const MAX_TERMS: u32 = 50_000;
/// Most different terms that are counted: with words of ten bytes about 80 MB.
const MAX_COUNTED: usize = 1_000_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tfidf {
    /// So many terms have a column: those in most texts, of equal ones the first by bytes.
    #[serde(default = "ten_thousand")]
    max_terms: u32,
    /// In how many texts a term is to be.
    #[serde(default = "one")]
    min_count: u64,
    /// Is each row divided by its Euclidean length?
    #[serde(default = "yes")]
    normalize: bool,
    /// Is 1 + ln(count) taken for the count?
    #[serde(default)]
    sublinear: bool,
    #[serde(default)]
    terms: Terms,
}

const fn ten_thousand() -> u32 {
    10_000
}

const fn one() -> u64 {
    1
}

const fn yes() -> bool {
    true
}

/// The terms with a column, in order, and in how many of so many texts each is.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vocabulary {
    counts: Vec<u64>,
    terms: Vec<String>,
    texts: u64,
}

struct Learn {
    terms: Terms,
    max_terms: usize,
    min_count: u64,
    counts: HashMap<Box<str>, u64, TextHash>,
    texts: u64,
    scratch: Scratch,
}

impl Learn {
    fn count(counts: &mut HashMap<Box<str>, u64, TextHash>, term: &str, by: u64) -> Result<()> {
        if let Some(count) = counts.get_mut(term) {
            *count += by;
        } else if counts.len() < MAX_COUNTED {
            counts.insert(term.into(), by);
        } else {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("more than {MAX_COUNTED} different terms: hash_ngrams has no such limit"),
            ));
        }
        Ok(())
    }
}

impl Fit for Learn {
    type State = Vocabulary;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        let mut outcome = Ok(());
        let mut seen: HashSet<Box<str>, TextHash> = HashSet::default();
        inputs[0].texts().for_each(|text| {
            let Some(text) = text else { return };
            self.texts += 1;
            seen.clear();
            self.terms.each(text, &mut self.scratch, |term| {
                if outcome.is_ok() && !seen.contains(term) {
                    seen.insert(term.into());
                    outcome = Self::count(&mut self.counts, term, 1);
                }
            });
        });
        outcome
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        for (term, count) in &other.counts {
            Self::count(&mut self.counts, term, *count)?;
        }
        self.texts += other.texts;
        Ok(())
    }

    fn finish(self) -> Result<Vocabulary> {
        let mut kept: Vec<(Box<str>, u64)> = self
            .counts
            .into_iter()
            .filter(|(_, count)| *count >= self.min_count)
            .collect();
        kept.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(self.max_terms);
        kept.sort_unstable();
        Ok(Vocabulary {
            counts: kept.iter().map(|(_, count)| *count).collect(),
            terms: kept.into_iter().map(|(term, _)| term.into()).collect(),
            texts: self.texts,
        })
    }
}

impl Expression for Tfidf {
    const NAME: &'static str = "str_tfidf";
    type Fit = Learn;

    fn check(&self) -> Result<()> {
        self.terms.check()?;
        if self.min_count == 0 {
            return Err(Error::invalid("min_count is 0: use 1 to keep every term"));
        }
        if (1..=MAX_TERMS).contains(&self.max_terms) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "max_terms {}: use 1 to {MAX_TERMS}",
            self.max_terms
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        text(inputs).map(|()| Type::Columns)
    }

    fn fit(&self, _: &[Type]) -> Option<Learn> {
        Some(Learn {
            terms: self.terms,
            max_terms: self.max_terms as usize,
            min_count: self.min_count,
            counts: HashMap::default(),
            texts: 0,
            scratch: Scratch::default(),
        })
    }

    fn kernel(&self, state: Vocabulary, _: &[Type]) -> Result<Kernel> {
        if state.counts.len() != state.terms.len() {
            return Err(Error::state(format!(
                "str_tfidf: {} counts for {} terms",
                state.counts.len(),
                state.terms.len()
            )));
        }
        // As if one more text had each term once, so that none is divided by zero.
        let texts = state.texts as f64 + 1.0;
        let weights: Vec<f64> = state
            .counts
            .iter()
            .map(|&count| (texts / (count as f64 + 1.0)).ln() + 1.0)
            .collect();
        let map = TextMap::new(&state.terms);
        let (terms, normalized, sublinear) = (self.terms, self.normalize, self.sublinear);
        Ok(Kernel::Columns {
            count: weights.len(),
            run: Box::new(move |inputs, mut columns| {
                let (mut row, mut scratch, mut values) = (0, Scratch::default(), Vec::new());
                inputs[0].texts().for_each(|text| {
                    values.clear();
                    terms.each(text.unwrap_or_default(), &mut scratch, |term| {
                        if let Some(column) = map.get(term) {
                            values.push((column as u32, 1.0));
                        }
                    });
                    add_up(&mut values);
                    for (column, value) in &mut values {
                        let count = if sublinear { 1.0 + value.ln() } else { *value };
                        *value = count * weights[*column as usize];
                    }
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
        format!("{}_tfidf", inputs.first().copied().unwrap_or_default())
    }

    fn suffixes(&self, state: &Vocabulary) -> Vec<String> {
        state.terms.iter().map(|term| format!("={term}")).collect()
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Tfidf>(&[
    r#"{"op":"str_tfidf","input":{"op":"col","name":"s"}}"#,
    r#"{"op":"str_tfidf","max_terms":3,"min_count":2,"sublinear":true,"terms":{"ngrams":[1,2]},"input":{"op":"col","name":"s"}}"#,
    r#"{"op":"str_tfidf","normalize":false,"terms":{"analyzer":"char","ngrams":[1,2]},"input":{"op":"col","name":"k"}}"#,
]);
