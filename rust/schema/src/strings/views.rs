//! Texts as views of 16 bytes, whatever the layout, for those who look them up or count them.

use super::{INLINE, Layout, Strings};

/// The view of a missing text, of [`Strings::write_views`].
pub const MISSING_VIEW: u128 = u32::MAX as u128;

/// Which bits of a view are those of a text of each length; the last are those of a longer text.
const KEPT: [u128; INLINE + 2] = {
    let mut kept = [0; INLINE + 2];
    let mut length = 0;
    while length < kept.len() {
        let bytes = if length > INLINE { 4 } else { length };
        kept[length] = u128::MAX >> (8 * (INLINE - bytes));
        length += 1;
    }
    kept
};

/// The view of a text whose first twelve bytes, or what follows it, are those behind the first four.
#[inline]
fn kept(view: u128, length: usize) -> u128 {
    (view & KEPT[length.min(INLINE + 1)]) & !(u32::MAX as u128) | length as u128
}

fn view_of(bytes: &[u8]) -> u128 {
    let mut view = [0; 16];
    let length = bytes.len().min(INLINE);
    view[4..4 + length].copy_from_slice(&bytes[..length]);
    kept(
        u128::from_le_bytes(view),
        bytes.len().min(u32::MAX as usize - 1),
    )
}

/// The views of texts that lie one behind the other: twelve bytes are read at once where the text
/// goes on so far.
fn between<T: Copy + Into<i64>>(offsets: &[T], base: T, text: &str, out: &mut [u128]) {
    let (base, bytes) = (base.into(), text.as_bytes());
    for (out, pair) in out.iter_mut().zip(offsets.windows(2)) {
        let (start, end) = (pair[0].into() - base, pair[1].into() - base);
        let (at, length) = (start as usize, (end - start) as usize);
        let twelve = bytes.get(at..).and_then(<[u8]>::first_chunk::<INLINE>);
        *out = match twelve {
            Some([a, b, c, d, e, f, g, h, i, j, k, l]) => {
                let low = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                let high = u32::from_le_bytes([*i, *j, *k, *l]);
                kept(u128::from(low) << 32 | u128::from(high) << 96, length)
            }
            None => view_of(bytes.get(at..at + length).unwrap_or_default()),
        };
    }
}

impl Strings<'_> {
    /// Writes a view for each text from row `start` on: 16 bytes, little-endian, as Arrow's string
    /// views have them. The length stands in the first four; then comes a text of up to twelve
    /// bytes with zeros behind it, or the first four bytes of a longer one. Equal views of short
    /// texts mean equal texts; [`MISSING_VIEW`] is that of a missing one.
    pub fn write_views(&self, start: usize, out: &mut [u128]) {
        let rows = self.start + start..self.start + (start + out.len()).min(self.rows);
        match self.layout {
            Layout::Offsets32(offsets, text) => {
                between(&offsets[rows.start..=rows.end], offsets[0], text, out);
            }
            Layout::Offsets64(offsets, text) => {
                between(&offsets[rows.start..=rows.end], offsets[0], text, out);
            }
            Layout::Views(views, _) => {
                for (out, view) in out.iter_mut().zip(&views[rows]) {
                    *out = kept(*view, *view as u32 as usize);
                }
            }
            Layout::Slices(slices) => {
                for (out, text) in out.iter_mut().zip(&slices[rows]) {
                    *out = view_of(text.as_bytes());
                }
            }
            Layout::Dictionary(keys, values) => {
                for (row, (out, key)) in out.iter_mut().zip(&keys[rows]).enumerate() {
                    if self.validity.get(start + row) {
                        *out = view_of(values[*key as usize].as_bytes());
                    }
                }
            }
        }
        if !self.validity.is_all() {
            let rows = out.len();
            let missing = self.validity.skip(start);
            missing.each_missing(rows, |row| {
                if let Some(out) = out.get_mut(row) {
                    *out = MISSING_VIEW;
                }
            });
        }
    }
}
