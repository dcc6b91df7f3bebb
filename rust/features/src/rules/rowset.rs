//! Numbers of rows, as many as there may be, in little memory.

use tidegate_schema::Result;

use super::spill::{Entry, PARTS, Parts};

/// Numbers of rows of a table, told in any order and asked in order.
///
/// They lie in parts, each for so many rows that follow one another; one part at a time is in
/// memory as bits, and of the others what exceeds a block is on disk.
pub struct RowSet {
    parts: Parts,
    /// Rows of a part.
    span: u64,
    len: u64,
    /// The part that was asked last, as bits.
    bits: Option<(usize, Vec<u64>)>,
}

impl RowSet {
    /// An empty set of numbers below `rows`.
    #[must_use]
    pub fn new(rows: u64) -> Self {
        Self {
            parts: Parts::new(),
            span: rows.div_ceil(PARTS as u64).max(1),
            len: 0,
            bits: None,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a number in that is not there yet.
    pub(super) fn insert(&mut self, row: u64) -> Result<()> {
        self.bits = None;
        self.len += 1;
        let part = (row / self.span) as usize;
        self.parts.push(part, Entry { key: [0; 2], row })
    }

    /// Calls `each` with the numbers among `rows` rows from `begin` on, in order.
    pub(super) fn each(&mut self, begin: u64, rows: u64, mut each: impl FnMut(u64)) -> Result<()> {
        let end = begin + rows;
        let mut row = begin;
        while row < end {
            let part = (row / self.span) as usize;
            let first = part as u64 * self.span;
            let last = end.min(first + self.span);
            let bits = self.load(part)?;
            while row < last {
                let place = row - first;
                let word = bits.get((place / 64) as usize).copied().unwrap_or(0) >> (place % 64);
                if word == 0 {
                    row += 64 - place % 64;
                    continue;
                }
                row += u64::from(word.trailing_zeros());
                if row < last {
                    each(row);
                }
                row += 1;
            }
            row = row.min(last);
        }
        Ok(())
    }

    fn load(&mut self, part: usize) -> Result<&[u64]> {
        let bits = match self.bits.take() {
            Some((loaded, bits)) if loaded == part => bits,
            _ => {
                let first = part as u64 * self.span;
                let mut bits = vec![0_u64; self.span.div_ceil(64) as usize];
                self.parts.each(part, |entry| {
                    let place = entry.row - first;
                    if let Some(word) = bits.get_mut((place / 64) as usize) {
                        *word |= 1 << (place % 64);
                    }
                    Ok(())
                })?;
                bits
            }
        };
        Ok(&self.bits.insert((part, bits)).1)
    }
}
