//! A borrowed, typed column with validity.

use crate::{DType, NumberLists, Strings, TextLists};

/// Which values of a column are there: Arrow's bitmap (least significant bit first), or all.
#[derive(Clone, Copy, Debug)]
pub struct Validity<'a> {
    bits: Option<&'a [u8]>,
    offset: usize,
}

impl<'a> Validity<'a> {
    /// Every value is there.
    pub const ALL: Self = Self {
        bits: None,
        offset: 0,
    };

    /// Value `i` is there when bit `offset + i` is set. The bitmap must hold `offset + rows` bits.
    #[must_use]
    pub const fn bitmap(bits: &'a [u8], offset: usize) -> Self {
        Self {
            bits: Some(bits),
            offset,
        }
    }

    /// Is value `i` there?
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> bool {
        match self.bits {
            None => true,
            Some(bits) => {
                let bit = self.offset + i;
                bits[bit >> 3] >> (bit & 7) & 1 == 1
            }
        }
    }

    /// The validity of eight values from `start` on as bits, the first value's lowest; of values
    /// beyond the `rows` that are left the bits are 0.
    #[inline]
    #[must_use]
    pub fn eight(&self, start: usize, rows: usize) -> u8 {
        let within = if rows < 8 {
            !(u8::MAX << rows)
        } else {
            u8::MAX
        };
        let Some(bits) = self.bits else {
            return within;
        };
        let bit = self.offset + start;
        let at = bit >> 3;
        let low = bits.get(at).copied().unwrap_or(0);
        let high = bits.get(at + 1).copied().unwrap_or(0);
        ((u16::from_le_bytes([low, high]) >> (bit & 7)) as u8) & within
    }

    /// True when no bitmap says otherwise: the fast path of the kernels.
    #[inline]
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.bits.is_none()
    }

    /// The first of these rows whose value is not there.
    #[must_use]
    pub fn first_missing(&self, rows: usize) -> Option<usize> {
        if self.is_all() {
            return None;
        }
        (0..rows).find(|&row| !self.get(row))
    }

    /// Calls `each` with every one of these rows whose value is not there. Mostly all are there, so
    /// 64 are looked at in one.
    pub fn each_missing(&self, rows: usize, mut each: impl FnMut(usize)) {
        let Some(bits) = self.bits else { return };
        // Up to the first whole byte, then in words, then what is left.
        let head = (8 - (self.offset & 7)) % 8;
        let head = head.min(rows);
        (0..head).filter(|&row| !self.get(row)).for_each(&mut each);
        let whole = &bits[(self.offset + head) >> 3..];
        let words = (rows - head) / 64;
        for (position, word) in whole.chunks_exact(8).take(words).enumerate() {
            let mut there = [0; 8];
            there.copy_from_slice(word);
            let mut missing = !u64::from_le_bytes(there);
            while missing != 0 {
                each(head + 64 * position + missing.trailing_zeros() as usize);
                missing &= missing - 1;
            }
        }
        let tail = head + 64 * words..rows;
        tail.filter(|&row| !self.get(row)).for_each(each);
    }

    /// The validity of the values from `start` on.
    #[must_use]
    pub const fn skip(&self, start: usize) -> Self {
        Self {
            bits: self.bits,
            offset: self.offset + start,
        }
    }
}

/// Values of a fixed width with their validity. What stands at a missing place is unspecified.
#[derive(Clone, Copy, Debug)]
pub struct Primitive<'a, T> {
    /// The values, one a row.
    pub values: &'a [T],
    /// Which of them are there.
    pub validity: Validity<'a>,
}

impl<'a, T: Copy> Primitive<'a, T> {
    /// Values that are all there (a NaN among floats is still missing).
    #[must_use]
    pub const fn all(values: &'a [T]) -> Self {
        Self {
            values,
            validity: Validity::ALL,
        }
    }

    /// Value `i`, or `None` where it is null (NaN is not looked at).
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<T> {
        self.validity.get(i).then(|| self.values[i])
    }

    fn slice(&self, start: usize, rows: usize) -> Self {
        Self {
            values: &self.values[start..start + rows],
            validity: self.validity.skip(start),
        }
    }
}

/// A borrowed column. Null and NaN are one thing, *missing*.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// One byte a value, 0 or 1.
    Bool(Primitive<'a, u8>),
    /// 64-bit integers.
    Int64(Primitive<'a, i64>),
    /// 64-bit floats; NaN is missing too.
    Float64(Primitive<'a, f64>),
    /// UTF-8 text.
    String(Strings<'a>),
    /// Microseconds since 1970 UTC.
    Timestamp(Primitive<'a, i64>),
    /// Days since 1970.
    Date(Primitive<'a, i64>),
    /// Microseconds between two times.
    Duration(Primitive<'a, i64>),
    /// Lists of 64-bit floats.
    NumberList(NumberLists<'a>),
    /// Lists of texts.
    TextList(TextLists<'a>),
}

impl<'a> Column<'a> {
    /// The type of the values.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        match self {
            Self::Bool(_) => DType::Bool,
            Self::Int64(_) => DType::Int64,
            Self::Float64(_) => DType::Float64,
            Self::String(_) => DType::String,
            Self::Timestamp(_) => DType::Timestamp,
            Self::Date(_) => DType::Date,
            Self::Duration(_) => DType::Duration,
            Self::NumberList(_) => DType::NumberList,
            Self::TextList(_) => DType::TextList,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(column) => column.values.len(),
            Self::Int64(column)
            | Self::Timestamp(column)
            | Self::Date(column)
            | Self::Duration(column) => column.values.len(),
            Self::Float64(column) => column.values.len(),
            Self::String(column) => column.len(),
            Self::NumberList(column) => column.len(),
            Self::TextList(column) => column.len(),
        }
    }

    /// True for a column without values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is value `i` missing (null, or NaN among floats)?
    #[must_use]
    pub fn is_missing(&self, i: usize) -> bool {
        match self {
            Self::Bool(column) => !column.validity.get(i),
            Self::Int64(column)
            | Self::Timestamp(column)
            | Self::Date(column)
            | Self::Duration(column) => !column.validity.get(i),
            Self::Float64(column) => !column.validity.get(i) || column.values[i].is_nan(),
            Self::String(column) => column.get(i).is_none(),
            Self::NumberList(column) => column.range(i).is_none(),
            Self::TextList(column) => column.range(i).is_none(),
        }
    }

    /// The values `start .. start + rows`.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        match self {
            Self::Bool(column) => Self::Bool(column.slice(start, rows)),
            Self::Int64(column) => Self::Int64(column.slice(start, rows)),
            Self::Float64(column) => Self::Float64(column.slice(start, rows)),
            Self::String(column) => Self::String(column.slice(start, rows)),
            Self::Timestamp(column) => Self::Timestamp(column.slice(start, rows)),
            Self::Date(column) => Self::Date(column.slice(start, rows)),
            Self::Duration(column) => Self::Duration(column.slice(start, rows)),
            Self::NumberList(column) => Self::NumberList(column.slice(start, rows)),
            Self::TextList(column) => Self::TextList(column.slice(start, rows)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_those_of_eight_rows() {
        let bits = [0b1010_0110, 0b0101_1001, 0b1111_0000];
        for offset in 0..9 {
            let validity = Validity::bitmap(&bits, offset);
            for start in 0..(24 - offset) {
                let rows = 24 - offset - start;
                let found = validity.eight(start, rows);
                for bit in 0..8 {
                    let expected = bit < rows && validity.get(start + bit);
                    assert_eq!(found >> bit & 1 == 1, expected, "{offset} {start} {bit}");
                }
            }
        }
        assert_eq!(Validity::ALL.eight(0, 3), 0b111);
        assert_eq!(Validity::ALL.eight(5, 30), 0xff);
    }

    #[test]
    fn every_missing_row_is_told() {
        let bits: Vec<u8> = (0..64u32).map(|i| (i * 37 % 251) as u8 | 0x11).collect();
        for offset in [0, 1, 7, 8, 13] {
            for rows in [0, 1, 5, 8, 63, 64, 65, 130, 400] {
                let validity = Validity::bitmap(&bits, offset);
                let mut told = Vec::new();
                validity.each_missing(rows, |row| told.push(row));
                let due: Vec<usize> = (0..rows).filter(|&row| !validity.get(row)).collect();
                assert_eq!(told, due, "{rows} from {offset}");
            }
        }
        Validity::ALL.each_missing(10, |_| panic!("none is missing"));
    }
}
