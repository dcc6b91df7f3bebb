//! Borrowed text in each of the layouts that producers use, behind one `get`.

use std::cell::LazyCell;

mod views;

pub use self::views::MISSING_VIEW;
use crate::{Error, Result, Validity};

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
    /// Arrow `Utf8View` (polars): 16 bytes a row, the text inline or in one of the buffers.
    Views(&'a [u128], &'a [&'a [u8]]),
    /// Slices made by whoever holds Python strings.
    Slices(&'a [&'a str]),
    /// Keys into a dictionary of slices; the caller has checked that keys of valid rows are inside.
    Dictionary(&'a [i32], &'a [&'a str]),
}

impl<'a> Strings<'a> {
    /// Text `i` runs from `offsets[i]` to `offsets[i + 1]`; `text` begins at `offsets[0]`.
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

    /// Text `i` runs from `offsets[i]` to `offsets[i + 1]`; `text` begins at `offsets[0]`.
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

    /// Arrow's string views: checks once that each one points into a buffer and is UTF-8.
    pub fn views(
        views: &'a [u128],
        buffers: &'a [&'a [u8]],
        validity: Validity<'a>,
    ) -> Result<Self> {
        // Most texts are short ASCII, which a view itself tells; of a whole block it is told at once.
        let plain = |view: &u128| *view as u32 as usize <= INLINE && *view >> 32 & HIGH_BITS == 0;
        let blocks = views.chunks(VIEWS_AT_ONCE).enumerate();
        let others = blocks.filter(|(_, block)| !all_plain(block));
        let rows = others.flat_map(|(at, block)| {
            let rows = at * VIEWS_AT_ONCE..;
            rows.zip(block)
        });
        let all = validity.is_all();
        // Buffers are mostly ASCII from end to end, which is seen faster than text by text.
        let whole: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let ascii = LazyCell::new(|| {
            whole <= views.len() * READ_BYTES && buffers.iter().all(|b| b.is_ascii())
        });
        for (row, view) in rows {
            if plain(view) || !all && !validity.get(row) {
                continue;
            }
            let text = view_bytes(view, buffers).ok_or_else(|| {
                Error::invalid(format!(
                    "row {row}: a string view points outside its buffers"
                ))
            })?;
            if text.len() > INLINE && *ascii {
                continue;
            }
            if !text.is_ascii() && std::str::from_utf8(text).is_err() {
                return Err(Error::invalid(format!(
                    "row {row}: text is not valid UTF-8"
                )));
            }
        }
        Ok(Self {
            layout: Layout::Views(views, buffers),
            validity,
            start: 0,
            rows: views.len(),
        })
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

    /// Text `i`, or `None` where it is missing. Whoever reads all of them is served faster by
    /// [`Strings::for_each`].
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a str> {
        debug_assert!(i < self.rows);
        if !self.validity.get(i) {
            return None;
        }
        let i = self.start + i;
        Some(match self.layout {
            Layout::Offsets32(offsets, text) => between(offsets, text, i),
            Layout::Offsets64(offsets, text) => between(offsets, text, i),
            Layout::Views(views, buffers) => view_text(&views[i], buffers),
            Layout::Slices(slices) => slices[i],
            Layout::Dictionary(keys, values) => values[keys[i] as usize],
        })
    }

    /// Which texts are there.
    #[must_use]
    pub const fn validity(&self) -> Validity<'a> {
        self.validity
    }

    /// The first row whose text is missing.
    #[must_use]
    pub fn first_missing(&self) -> Option<usize> {
        self.validity.first_missing(self.rows)
    }

    /// Calls `each` with every text in turn, `None` where it is missing. The layout is looked at
    /// once and not once a row.
    #[inline]
    pub fn for_each(&self, each: impl FnMut(Option<&'a str>)) {
        match self.layout {
            Layout::Offsets32(offsets, text) => self.walk(|i| between(offsets, text, i), each),
            Layout::Offsets64(offsets, text) => self.walk(|i| between(offsets, text, i), each),
            Layout::Views(views, buffers) => self.walk(|i| view_text(&views[i], buffers), each),
            Layout::Slices(slices) => self.walk(|i| slices[i], each),
            Layout::Dictionary(keys, values) => self.walk(|i| values[keys[i] as usize], each),
        }
    }

    #[inline]
    fn walk(&self, text: impl Fn(usize) -> &'a str, mut each: impl FnMut(Option<&'a str>)) {
        let rows = self.start..self.start + self.rows;
        if self.validity.is_all() {
            rows.for_each(|i| each(Some(text(i))));
        } else {
            rows.for_each(|i| each(self.validity.get(i - self.start).then(|| text(i))));
        }
    }

    /// Writes a word for each text: a text of up to seven bytes as those bytes and its length,
    /// [`LONG_TEXT`] for a longer one, [`MISSING_TEXT`] for a missing one. Equal words that are
    /// neither mean equal texts, so codes are compared, hashed and looked up without a look at
    /// their bytes.
    pub fn words(&self, out: &mut [u64]) {
        let rows = self.start..self.start + self.rows;
        match self.layout {
            Layout::Offsets32(offsets, text) => {
                words_between(&offsets[rows.start..=rows.end], offsets[0], text, out);
            }
            Layout::Offsets64(offsets, text) => {
                words_between(&offsets[rows.start..=rows.end], offsets[0], text, out);
            }
            Layout::Views(views, _) => {
                for (out, view) in out.iter_mut().zip(&views[rows]) {
                    // Short texts stand in the view itself, after their length of 32 bits. What a
                    // producer leaves behind them is not counted on.
                    let length = *view as u32 as usize;
                    let bytes = (view >> 32) as u64 & WITHIN.get(length).copied().unwrap_or(0);
                    let short = bytes | (length as u64) << 56;
                    *out = if length > WORD { LONG_TEXT } else { short };
                }
            }
            Layout::Slices(slices) => {
                for (out, i) in out.iter_mut().zip(rows) {
                    *out = word_of(slices[i].as_bytes());
                }
            }
            Layout::Dictionary(keys, values) => {
                for (row, (out, i)) in out.iter_mut().zip(rows).enumerate() {
                    if self.validity.get(row) {
                        *out = word_of(values[keys[i] as usize].as_bytes());
                    }
                }
            }
        }
        self.validity.each_missing(self.rows, |row| {
            if let Some(out) = out.get_mut(row) {
                *out = MISSING_TEXT;
            }
        });
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

/// The word of a missing text, of [`Strings::words`].
pub const MISSING_TEXT: u64 = u64::MAX;
/// The word of a text of more than seven bytes, of [`Strings::words`].
pub const LONG_TEXT: u64 = u64::MAX - 1;
/// Most bytes of a text that fits into a word beside its length.
const WORD: usize = 7;

/// The bytes of a text of each length that fits into a word.
const WITHIN: [u64; WORD + 1] = {
    let mut masks = [0; WORD + 1];
    let mut length = 0;
    while length <= WORD {
        masks[length] = !(u64::MAX << (8 * length));
        length += 1;
    }
    masks
};

/// The word of a text of this length whose bytes are the low ones of `bytes`.
#[inline]
const fn word(bytes: u64, length: usize) -> u64 {
    if length > WORD {
        return LONG_TEXT;
    }
    (bytes & !(u64::MAX << (8 * length))) | (length as u64) << 56
}

#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    let mut low = [0; 8];
    let length = bytes.len().min(8);
    low[..length].copy_from_slice(&bytes[..length]);
    word(u64::from_le_bytes(low), bytes.len())
}

/// The words of texts that lie one behind the other, between one offset and the next: eight bytes
/// are read at once where the text goes on so far.
fn words_between<T: Copy + Into<i64>>(offsets: &[T], base: T, text: &str, out: &mut [u64]) {
    let (base, bytes) = (base.into(), text.as_bytes());
    for (out, pair) in out.iter_mut().zip(offsets.windows(2)) {
        let (start, end) = (pair[0].into() - base, pair[1].into() - base);
        let (at, length) = (start as usize, (end - start) as usize);
        *out = match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            Some(eight) => word(u64::from_le_bytes(*eight), length),
            None => word_of(bytes.get(at..at + length).unwrap_or_default()),
        };
    }
}

/// Texts up to this length stand in the view itself.
const INLINE: usize = 12;
/// Buffers of up to so many bytes a view are looked at as a whole.
const READ_BYTES: usize = 64;
/// So many views are checked together.
const VIEWS_AT_ONCE: usize = 64;
/// The highest bit of each of those bytes: set in none of an ASCII text.
const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080;

/// Are all of these texts short, and ASCII? Nothing is compared on the way: a length beyond the
/// bound, like a byte beyond ASCII, leaves the highest bit of its place.
#[inline]
fn all_plain(views: &[u128]) -> bool {
    /// What makes a length of more than [`INLINE`] one of 32 bits with the highest set.
    const BEYOND: u64 = 0x7fff_ffff - INLINE as u64;
    let (mut low, mut high, mut long) = (0_u64, 0_u64, 0_u64);
    for view in views {
        let half = *view as u64;
        low |= half;
        high |= (*view >> 64) as u64;
        long |= half.wrapping_add(BEYOND);
    }
    let bytes = (u128::from(high) << 64 | u128::from(low)) >> 32;
    bytes & HIGH_BITS == 0 && (low | long) & 0x8000_0000 == 0
}

/// Text `i` of those that lie one behind the other; `text` begins at `offsets[0]`.
#[inline]
fn between<'a, T: Copy + Into<i64>>(offsets: &[T], text: &'a str, i: usize) -> &'a str {
    let base = offsets[0].into();
    &text[(offsets[i].into() - base) as usize..(offsets[i + 1].into() - base) as usize]
}

/// The text of a view that [`Strings::views`] has checked: of a valid row.
#[inline]
fn view_text<'a>(view: &'a u128, buffers: &'a [&'a [u8]]) -> &'a str {
    let text = view_bytes(view, buffers).unwrap_or_default();
    // SAFETY: `Strings::views`, the only maker of this layout, checked that the text of every valid
    // row is UTF-8, both slices are borrowed immutably since, and callers ask for valid rows only.
    unsafe { std::str::from_utf8_unchecked(text) }
}

/// The bytes of one Arrow view: up to 12 inline, else a place in a buffer.
#[inline]
fn view_bytes<'a>(view: &'a u128, buffers: &'a [&'a [u8]]) -> Option<&'a [u8]> {
    let length = *view as u32 as usize;
    if length <= INLINE {
        // SAFETY: a u128 is 16 initialised bytes, and any alignment serves for bytes.
        let bytes: &'a [u8; 16] = unsafe { &*std::ptr::from_ref(view).cast() };
        // Views are defined little-endian, as is every machine this runs on (checked in `arrow`).
        return bytes.get(4..4 + length);
    }
    let buffer = *buffers.get((*view >> 64) as u32 as usize)?;
    let offset = (*view >> 96) as usize;
    buffer.get(offset..offset.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_views_are_plain_if_each_is() {
        let view = |text: &[u8], length: u32| {
            let mut view = [0; 16];
            view[..4].copy_from_slice(&length.to_le_bytes());
            view[4..4 + text.len()].copy_from_slice(text);
            u128::from_le_bytes(view)
        };
        let plain = [view(b"", 0), view(b"abc", 3), view(b"abcdefghijkl", 12)];
        assert!(all_plain(&plain) && all_plain(&[]));
        for length in [
            13,
            14,
            127,
            128,
            1 << 30,
            i32::MAX as u32,
            1 << 31,
            u32::MAX,
        ] {
            assert!(!all_plain(&[plain[1], view(b"abcd", length)]), "{length}");
        }
        for at in 0..12 {
            let mut text = *b"abcdefghijkl";
            text[at] = 0x80;
            assert!(!all_plain(&[plain[0], view(&text, 12)]), "{at}");
        }
    }

    /// Text by text, the word of each layout against what it must say.
    #[test]
    fn words_tell_short_texts_apart_in_every_layout() {
        let texts = [
            "",
            "a",
            "ab",
            "abcdefg",
            "abcdefgh",
            "é",
            "N14228",
            "a text of many bytes",
        ];
        let whole = texts.concat();
        let mut ends = vec![0_i32];
        for text in texts {
            ends.push(ends.last().unwrap() + text.len() as i32);
        }
        let wide: Vec<i64> = ends.iter().map(|end| i64::from(*end)).collect();
        let buffer = whole.as_bytes();
        let buffers = [buffer];
        let views: Vec<u128> = texts
            .iter()
            .zip(&ends)
            .map(|(text, start)| {
                let mut view = [0; 16];
                view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
                if text.len() <= INLINE {
                    view[4..4 + text.len()].copy_from_slice(text.as_bytes());
                } else {
                    view[4..8].copy_from_slice(&text.as_bytes()[..4]);
                    view[12..].copy_from_slice(&start.to_le_bytes());
                }
                u128::from_le_bytes(view)
            })
            .collect();
        let keys: Vec<i32> = (0..texts.len() as i32).collect();
        let bits = [0b1111_1011];
        let validity = Validity::bitmap(&bits, 0);
        let layouts = [
            Strings::offsets32(&ends, &whole, validity),
            Strings::offsets64(&wide, &whole, validity),
            Strings::views(&views, &buffers, validity).unwrap(),
            Strings::slices(&texts, validity),
            Strings::dictionary(&keys, &texts, validity),
        ];
        for layout in layouts {
            for start in 0..texts.len() {
                let part = layout.slice(start, texts.len() - start);
                let mut views = vec![1; part.len()];
                part.write_views(0, &mut views);
                let mut tail = vec![1; part.len() - part.len() / 2];
                part.write_views(part.len() / 2, &mut tail);
                assert_eq!(tail, views[part.len() / 2..]);
                for (row, view) in views.iter().enumerate() {
                    let mut expected = [0; 16];
                    let text = part.get(row);
                    let bytes = text.unwrap_or_default().as_bytes();
                    let held = if bytes.len() > INLINE { 4 } else { bytes.len() };
                    expected[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
                    expected[4..4 + held].copy_from_slice(&bytes[..held]);
                    let expected = match text {
                        Some(_) => u128::from_le_bytes(expected),
                        None => MISSING_VIEW,
                    };
                    assert_eq!(*view, expected, "{start} {row}");
                }
                let mut words = vec![1; part.len()];
                part.words(&mut words);
                for (row, word) in words.iter().enumerate() {
                    let expected = match part.get(row) {
                        None => MISSING_TEXT,
                        Some(text) if text.len() > WORD => LONG_TEXT,
                        Some(text) => word_of(text.as_bytes()),
                    };
                    assert_eq!(*word, expected, "{start} {row}");
                }
            }
        }
        let mut words: Vec<u64> = texts.iter().map(|text| word_of(text.as_bytes())).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 7);
    }
}
