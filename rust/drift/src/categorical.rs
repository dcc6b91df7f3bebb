//! The baseline of a categorical column: its frequent values by name, the rest together.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Column, Error, Result};
use tidegate_sketch::{Frequencies, TextMap};

/// Values that get a cell of their own, the most frequent first. More would drown a distance in
/// the noise of rare cells.
pub const NAMED_VALUES: usize = 50;
/// Values remembered without a cell of their own, so that *seen before* can be told from *never
/// seen*.
pub const KNOWN_VALUES: usize = 10_000;
/// Bytes of those values together.
pub const KNOWN_BYTES: usize = 1 << 20;

/// Cells that follow the named values: other, unseen, missing.
const TAIL: usize = 3;

/// Counts of a string or bool column: each frequent value, `other` known ones, `unseen`, missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Categorical {
    values: Vec<(Box<str>, u64)>,
    known: Vec<Box<str>>,
    other: u64,
    missing: u64,
    complete: bool,
    /// Values first, then what else is known: position in both together.
    lookup: TextMap,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    complete: bool,
    known: Vec<Box<str>>,
    missing: u64,
    other: u64,
    values: Vec<(Box<str>, u64)>,
}

impl Categorical {
    pub(crate) fn of_strings(frequencies: &Frequencies) -> Self {
        let sorted = frequencies.sorted();
        let (named, rest) = sorted.split_at(sorted.len().min(NAMED_VALUES));
        let mut bytes = 0;
        let known: Vec<Box<str>> = rest
            .iter()
            .take(KNOWN_VALUES)
            .map_while(|(text, _)| {
                bytes += text.len();
                (bytes <= KNOWN_BYTES).then(|| (*text).into())
            })
            .collect();
        let complete = known.len() == rest.len() && frequencies.other() == 0;
        let other = rest.iter().map(|(_, n)| n).sum::<u64>() + frequencies.other();
        let values = named.iter().map(|(text, n)| ((*text).into(), *n)).collect();
        Self::new(values, known, other, frequencies.missing(), complete)
    }

    pub(crate) fn of_bools(falses: u64, trues: u64, missing: u64) -> Self {
        let values = vec![("false".into(), falses), ("true".into(), trues)];
        Self::new(values, Vec::new(), 0, missing, true)
    }

    fn new(
        values: Vec<(Box<str>, u64)>,
        known: Vec<Box<str>>,
        other: u64,
        missing: u64,
        complete: bool,
    ) -> Self {
        let named = values.iter().map(|(text, _)| &**text);
        let texts: Vec<&str> = named.chain(known.iter().map(|text| &**text)).collect();
        let lookup = TextMap::new(&texts);
        Self {
            values,
            known,
            other,
            missing,
            complete,
            lookup,
        }
    }

    /// The values with a cell of their own and their counts in the baseline.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.values.iter().map(|(text, n)| (&**text, *n))
    }

    /// Is every value of the baseline remembered? If not, `unseen` stays empty and a value that
    /// is not remembered counts as other.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn cells(&self) -> usize {
        self.values.len() + TAIL
    }

    /// The baseline's counts: the named values, other, unseen (0), missing.
    pub(crate) fn counts(&self) -> Vec<u64> {
        let named = self.values.iter().map(|(_, n)| *n);
        named.chain([self.other, 0, self.missing]).collect()
    }

    /// Adds each value of a string or bool column to its cell.
    pub(crate) fn count(&self, column: &Column<'_>, counts: &mut [u64]) {
        self.each(column, |cell| {
            if let Some(count) = counts.get_mut(cell) {
                *count += 1;
            }
        });
    }

    /// Hands on the cell of each value of a string or bool column.
    #[inline]
    pub(crate) fn each(&self, column: &Column<'_>, mut add: impl FnMut(usize)) {
        let other = self.values.len();
        let (unseen, missing) = (other + usize::from(self.complete), other + 2);
        match column {
            Column::String(strings) => {
                strings.for_each(|text| {
                    add(match text {
                        None => missing,
                        Some(text) => self.lookup.get(text).map_or(unseen, |at| at.min(other)),
                    });
                });
            }
            Column::Bool(bools) => {
                for row in 0..bools.values.len() {
                    add(match bools.get(row) {
                        None => missing,
                        // The named values of a bool column are false and true, in this order.
                        Some(value) => usize::from(value != 0),
                    });
                }
            }
            // Columns of other types are watched by number.
            _ => {}
        }
    }
}

impl PartialEq for Categorical {
    fn eq(&self, other: &Self) -> bool {
        (&self.values, &self.known) == (&other.values, &other.known)
            && (self.other, self.missing, self.complete)
                == (other.other, other.missing, other.complete)
    }
}

impl From<Categorical> for Document {
    fn from(categorical: Categorical) -> Self {
        Self {
            complete: categorical.complete,
            known: categorical.known,
            missing: categorical.missing,
            other: categorical.other,
            values: categorical.values,
        }
    }
}

impl TryFrom<Document> for Categorical {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.values.len() > NAMED_VALUES || document.known.len() > KNOWN_VALUES {
            return Err(Error::state("a categorical baseline with too many values"));
        }
        Ok(Self::new(
            document.values,
            document.known,
            document.other,
            document.missing,
            document.complete,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schema::{ColumnBuf, DType};

    fn frequencies(texts: impl Iterator<Item = String>) -> Frequencies {
        let mut frequencies = Frequencies::default();
        texts.for_each(|text| frequencies.update(&text).unwrap());
        frequencies
    }

    fn counted(categorical: &Categorical, texts: &[Option<&str>]) -> Vec<u64> {
        let mut column = ColumnBuf::new(DType::String, 0);
        for text in texts {
            match text {
                Some(text) => column.push_str(text).unwrap(),
                None => column.push_null(),
            }
        }
        let mut counts = vec![0; categorical.cells()];
        categorical.count(&column.view(), &mut counts);
        counts
    }

    #[test]
    fn named_other_unseen_missing() {
        // v0 60 times, v1 59 times, …, v59 once: ten of them stay without a cell.
        let texts = (0..60).flat_map(|i| (0..60 - i).map(move |_| format!("v{i}")));
        let categorical = Categorical::of_strings(&frequencies(texts));
        assert_eq!(categorical.cells(), NAMED_VALUES + 3);
        assert_eq!(categorical.counts()[50..], [55, 0, 0]);
        let counts = counted(
            &categorical,
            &[Some("v0"), Some("v55"), Some("new"), None, Some("")],
        );
        assert_eq!((counts[0], &counts[50..]), (1, &[1, 2, 1][..]));
    }

    #[test]
    fn too_many_values_make_unknown_ones_other() {
        let texts = (0..NAMED_VALUES + KNOWN_VALUES + 1).map(|i| i.to_string());
        let categorical = Categorical::of_strings(&frequencies(texts));
        assert!(!categorical.complete());
        let counts = counted(&categorical, &[Some("new"), None]);
        assert_eq!(counts[NAMED_VALUES..], [1, 0, 1]);
    }

    #[test]
    fn long_texts_are_bounded_by_bytes() {
        let texts = (0..100).map(|i| format!("{i:0>40000}"));
        let categorical = Categorical::of_strings(&frequencies(texts));
        assert!(!categorical.complete());
        assert_eq!(categorical.known.len(), KNOWN_BYTES / 40_000);
    }
}
