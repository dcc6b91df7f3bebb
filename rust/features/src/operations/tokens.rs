//! Texts cut into terms, as scikit-learn's text vectorizers cut them.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

/// Longest run of words or characters that is a term.
const MAX_NGRAM: u32 = 16;

/// What terms are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Analyzer {
    /// Words: runs of two or more letters, digits and underscores (`\b\w\w+\b`).
    #[default]
    Word,
    /// Characters, with each run of white space as one blank.
    Char,
    /// Characters of one word, which has a blank on either side.
    CharWb,
}

/// How a text is cut.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Terms {
    analyzer: Analyzer,
    /// Is the text made lower case first?
    lowercase: bool,
    /// The lengths of the runs of words or characters that are terms, both included.
    ngrams: (u32, u32),
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            analyzer: Analyzer::Word,
            lowercase: true,
            ngrams: (1, 1),
        }
    }
}

/// Python's `\w` is letters and numbers of any kind and the underscore; that of `regex` has marks
/// as well.
static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]{2,}").ok());

/// Memory for cutting one text after the other.
#[derive(Default)]
pub(super) struct Scratch {
    lower: String,
    joined: String,
    places: Vec<(usize, usize)>,
}

impl Terms {
    pub(super) fn check(&self) -> Result<()> {
        let (least, most) = self.ngrams;
        if (1..=MAX_NGRAM).contains(&least) && (least..=MAX_NGRAM).contains(&most) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "ngrams from {least} to {most}: use two rising lengths from 1 to {MAX_NGRAM}"
        )))
    }

    /// Calls `each` with every term of a text, in order of length first.
    pub(super) fn each(&self, text: &str, scratch: &mut Scratch, mut each: impl FnMut(&str)) {
        let Scratch {
            lower,
            joined,
            places,
        } = scratch;
        places.clear();
        let text = if !self.lowercase {
            text
        } else if text.is_ascii() {
            lower.clear();
            lower.push_str(text);
            lower.make_ascii_lowercase();
            lower
        } else {
            *lower = text.to_lowercase();
            lower
        };
        match self.analyzer {
            Analyzer::Word => {
                words(text, places);
                self.words(text, places, joined, each);
            }
            Analyzer::Char => {
                blanks(text, joined);
                self.characters(joined, places, |_, term| each(term));
            }
            Analyzer::CharWb => {
                for word in text.split_whitespace() {
                    joined.clear();
                    joined.extend([" ", word, " "]);
                    let length = joined.chars().count();
                    // A word shorter than a term is one term, and once only.
                    let whole = (self.ngrams.0..=self.ngrams.1).find(|&n| n as usize >= length);
                    self.characters(joined, places, |n, term| {
                        if whole.is_none_or(|whole| n <= whole) {
                            each(term);
                        }
                    });
                    if whole.is_some_and(|whole| whole as usize > length) {
                        each(joined);
                    }
                }
            }
        }
    }

    fn words(
        &self,
        text: &str,
        places: &[(usize, usize)],
        joined: &mut String,
        mut each: impl FnMut(&str),
    ) {
        for length in self.ngrams.0 as usize..=self.ngrams.1 as usize {
            for run in places.windows(length) {
                if let [(start, end)] = run {
                    each(&text[*start..*end]);
                    continue;
                }
                joined.clear();
                for (position, (start, end)) in run.iter().enumerate() {
                    if position > 0 {
                        joined.push(' ');
                    }
                    joined.push_str(&text[*start..*end]);
                }
                each(joined);
            }
        }
    }

    fn characters(
        &self,
        text: &str,
        places: &mut Vec<(usize, usize)>,
        mut each: impl FnMut(u32, &str),
    ) {
        places.clear();
        places.extend(
            text.char_indices()
                .map(|(start, letter)| (start, start + letter.len_utf8())),
        );
        for length in self.ngrams.0..=self.ngrams.1 {
            for run in places.windows(length as usize) {
                if let [(start, _), .., (_, end)] | [(start, end)] = run {
                    each(length, &text[*start..*end]);
                }
            }
        }
    }
}

/// Where the words of a text are.
fn words(text: &str, places: &mut Vec<(usize, usize)>) {
    if !text.is_ascii() {
        let found = WORDS.as_ref().map(|words| words.find_iter(text));
        places.extend(found.into_iter().flatten().map(|m| (m.start(), m.end())));
        return;
    }
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        let inside = byte.is_ascii_alphanumeric() || byte == b'_';
        match (start, inside) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                if at - first > 1 {
                    places.push((first, at));
                }
                start = None;
            }
            _ => {}
        }
    }
}

/// A text with each run of two or more white spaces as one blank.
fn blanks(text: &str, out: &mut String) {
    out.clear();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let mut run = 1;
        while letter.is_whitespace() && letters.next_if(|next| next.is_whitespace()).is_some() {
            run += 1;
        }
        out.push(if run > 1 { ' ' } else { letter });
    }
}

/// Divides the values of a row by their Euclidean length.
pub(super) fn normalize(values: &mut [(u32, f64)]) {
    let length = values
        .iter()
        .map(|(_, value)| value * value)
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        values.iter_mut().for_each(|(_, value)| *value /= length);
    }
}

/// Sorts the values of a row by column and adds up those of one column.
pub(super) fn add_up(values: &mut Vec<(u32, f64)>) {
    values.sort_unstable_by_key(|(column, _)| *column);
    values.dedup_by(|(column, value), (kept, sum)| {
        let same = column == kept;
        if same {
            *sum += *value;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(terms: &str, text: &str) -> Vec<String> {
        let terms: Terms = serde_json::from_str(terms).unwrap();
        let mut found = Vec::new();
        terms.each(text, &mut Scratch::default(), |term| {
            found.push(term.to_owned());
        });
        found
    }

    #[test]
    fn words_and_runs_of_words() {
        assert_eq!(
            terms("{}", "A Cat, a_b? x1 é été"),
            ["cat", "a_b", "x1", "été"]
        );
        assert_eq!(
            terms(r#"{"ngrams":[1,2],"lowercase":false}"#, "To be is"),
            ["To", "be", "is", "To be", "be is"]
        );
        assert!(terms("{}", "").is_empty());
    }

    #[test]
    fn characters_within_and_across_words() {
        assert_eq!(
            terms(r#"{"analyzer":"char","ngrams":[2,2]}"#, "a \t b\n"),
            ["a ", " b", "b\n"]
        );
        assert_eq!(
            terms(r#"{"analyzer":"char_wb","ngrams":[2,4]}"#, "a bé"),
            [" a", "a ", " a ", " b", "bé", "é ", " bé", "bé ", " bé "]
        );
        assert!(terms(r#"{"analyzer":"char","ngrams":[3,3]}"#, "ab").is_empty());
    }
}
