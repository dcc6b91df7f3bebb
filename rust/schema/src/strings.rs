//! Borrowed text in each of the layouts that producers use, behind one `get`.

use crate::Validity;

/// A borrowed column of UTF-8 text.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    layout: Layout<'a>,
    validity: Validity<'a>,
    start: usize,
    rows: usize,
}

#[derive(Clone, Copy, Debug)]
enum Layout<'a> {
    /// Arrow `Utf8` (pyarrow) and our own buffers.
    Offsets32(&'a [i32], &'a str),
    /// Arrow `LargeUtf8` (pandas).
    Offsets64(&'a [i64], &'a str),
    /// Slices made by whoever holds views (polars) or Python strings.
    Slices(&'a [&'a str]),
    /// Keys into a dictionary of slices; the caller has checked that keys of valid rows are inside.
    Dictionary(&'a [i32], &'a [&'a str]),
}

impl<'a> Strings<'a> {
    /// Text `i` is `text[offsets[i]..offsets[i + 1]]`.
    #[must_use]
    pub const fn offsets32(offsets: &'a [i32], text: &'a str, validity: Validity<'a>) -> Self {
        let rows = offsets.len().saturating_sub(1);
        Self {
            layout: Layout::Offsets32(offsets, text),
            validity,
            start: 0,
            rows,
        }
    }

    /// Text `i` is `text[offsets[i]..offsets[i + 1]]`.
    #[must_use]
    pub const fn offsets64(offsets: &'a [i64], text: &'a str, validity: Validity<'a>) -> Self {
        let rows = offsets.len().saturating_sub(1);
        Self {
            layout: Layout::Offsets64(offsets, text),
            validity,
            start: 0,
            rows,
        }
    }

    /// One slice a row.
    #[must_use]
    pub const fn slices(slices: &'a [&'a str], validity: Validity<'a>) -> Self {
        Self {
            layout: Layout::Slices(slices),
            validity,
            start: 0,
            rows: slices.len(),
        }
    }

    /// Text `i` is `values[keys[i]]`.
    #[must_use]
    pub const fn dictionary(
        keys: &'a [i32],
        values: &'a [&'a str],
        validity: Validity<'a>,
    ) -> Self {
        Self {
            layout: Layout::Dictionary(keys, values),
            validity,
            start: 0,
            rows: keys.len(),
        }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// True for a column without rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Text `i`, or `None` where it is missing.
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a str> {
        debug_assert!(i < self.rows);
        if !self.validity.get(i) {
            return None;
        }
        let i = self.start + i;
        Some(match self.layout {
            Layout::Offsets32(offsets, text) => &text[offsets[i] as usize..offsets[i + 1] as usize],
            Layout::Offsets64(offsets, text) => &text[offsets[i] as usize..offsets[i + 1] as usize],
            Layout::Slices(slices) => slices[i],
            Layout::Dictionary(keys, values) => values[keys[i] as usize],
        })
    }

    /// The rows `start .. start + rows`.
    #[must_use]
    pub const fn slice(&self, start: usize, rows: usize) -> Self {
        assert!(start + rows <= self.rows);
        Self {
            layout: self.layout,
            validity: self.validity.skip(start),
            start: self.start + start,
            rows,
        }
    }
}
