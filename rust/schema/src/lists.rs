//! Borrowed lists: a column whose values are themselves several numbers or texts.

use std::ops::Range;

use crate::{Strings, Validity};

/// A borrowed column of lists over items that lie one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a, I> {
    offsets: &'a [i64],
    items: I,
    validity: Validity<'a>,
}

/// A column of lists of numbers; NaN among the items is a missing one.
pub type NumberLists<'a> = Lists<'a, &'a [f64]>;
/// A column of lists of texts.
pub type TextLists<'a> = Lists<'a, Strings<'a>>;

impl<'a, I: Copy> Lists<'a, I> {
    /// List `i` is the items from `offsets[i]` to `offsets[i + 1]`. Offsets do not fall, and the
    /// last one is no more than there are items.
    #[must_use]
    pub const fn new(offsets: &'a [i64], items: I, validity: Validity<'a>) -> Self {
        Self {
            offsets,
            items,
            validity,
        }
    }

    /// How many lists there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// True for a column without lists.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the items of list `i` are, or `None` where it is missing.
    #[inline]
    #[must_use]
    pub fn range(&self, i: usize) -> Option<Range<usize>> {
        self.validity
            .get(i)
            .then(|| self.offsets[i] as usize..self.offsets[i + 1] as usize)
    }

    /// The items of all lists, one behind the other.
    #[must_use]
    pub const fn items(&self) -> I {
        self.items
    }

    /// Which of the lists are there.
    #[must_use]
    pub const fn validity(&self) -> Validity<'a> {
        self.validity
    }

    /// The first list that is missing.
    #[must_use]
    pub fn first_missing(&self) -> Option<usize> {
        self.validity.first_missing(self.len())
    }

    /// The lists `start .. start + rows`.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        Self {
            offsets: &self.offsets[start..=start + rows],
            items: self.items,
            validity: self.validity.skip(start),
        }
    }
}

impl<'a> NumberLists<'a> {
    /// The numbers of list `i`, or `None` where it is missing.
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a [f64]> {
        self.range(i).map(|range| &self.items[range])
    }
}

impl<'a> TextLists<'a> {
    /// The texts of list `i`, each of which may be missing, or `None` where the list is.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<impl ExactSizeIterator<Item = Option<&'a str>>> {
        let items = self.items;
        self.range(i)
            .map(move |range| range.map(move |item| items.get(item)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Column, ColumnBuf, DType};

    fn column(rows: std::ops::Range<usize>) -> ColumnBuf {
        let mut column = ColumnBuf::new(DType::TextList, 0);
        for row in rows {
            match row % 4 {
                0 => column.push_null(),
                items => column
                    .push_texts((1..items).map(|item| (item % 2 == 1).then_some("é")))
                    .unwrap(),
            }
        }
        column
    }

    fn shown(column: &Column<'_>) -> Vec<String> {
        let Column::TextList(lists) = column else {
            panic!()
        };
        (0..lists.len())
            .map(|row| format!("{:?}", lists.get(row).map(Iterator::collect::<Vec<_>>)))
            .collect()
    }

    #[test]
    fn lists_are_sliced_and_appended() {
        let (mut both, tail) = (column(0..9), column(9..20));
        both.append(&tail).unwrap();
        let whole = column(0..20);
        assert_eq!(shown(&both.view()), shown(&whole.view()));
        assert_eq!(
            shown(&whole.view().slice(3, 9)),
            shown(&whole.view())[3..12]
        );
        let mut again = ColumnBuf::new(DType::TextList, 0);
        again.extend_from(&whole.view()).unwrap();
        assert_eq!(shown(&again.view()), shown(&whole.view()));
        assert!(again.push_numbers(&[1.0]).is_err());
        assert!(whole.bytes() > 100);
        let mut numbers = ColumnBuf::new(DType::NumberList, 0);
        numbers.push_numbers(&[1.0, 2.0]).unwrap();
        numbers.push_null();
        let copy = numbers.clone();
        numbers.append(&copy).unwrap();
        let Column::NumberList(lists) = numbers.view() else {
            panic!()
        };
        assert_eq!(lists.slice(2, 2).get(0), Some(&[1.0, 2.0][..]));
        assert_eq!((lists.get(1), lists.first_missing()), (None, Some(1)));
    }
}
