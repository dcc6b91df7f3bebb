//! A fast hash of short texts, for tables whose size is bounded elsewhere.
//!
//! A column's values are codes of a few bytes: SipHash spends 15 ns on each, this 2. It is not
//! keyed, so it must not index a table that a stranger can grow without bound.

use std::hash::{BuildHasher, Hasher};

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

/// Both halves of the 128-bit product, folded (the step of wyhash).
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk::<8>)
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn four(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk::<4>)
        .map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// A 64-bit hash of some bytes; the same on every machine and, since sketches on disk hold what
/// follows from it, in every version.
#[inline]
#[must_use]
pub fn text_hash(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let (a, b) = match bytes {
        [] => (0, 0),
        [x] => (u64::from(*x), 0),
        [x, y] => (u64::from(*x) | u64::from(*y) << 8, 0),
        [x, y, z] => (u64::from(*x) | u64::from(*y) << 8 | u64::from(*z) << 16, 0),
        _ if length <= 8 => (four(bytes, 0), four(bytes, length - 4)),
        _ if length <= 16 => (eight(bytes, 0), eight(bytes, length - 8)),
        _ => {
            let mut state = FIRST;
            let mut at = 0;
            while at + 16 < length {
                state = fold(eight(bytes, at) ^ SECOND, eight(bytes, at + 8) ^ state);
                at += 16;
            }
            (eight(bytes, length - 16) ^ state, eight(bytes, length - 8))
        }
    };
    fold(fold(a ^ FIRST, b ^ SECOND) ^ length as u64, FIRST)
}

/// [`text_hash`] as the hasher of a `HashMap` with text keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextHash(u64);

impl BuildHasher for TextHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for TextHash {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(32) ^ text_hash(bytes);
    }

    #[inline]
    fn write_u8(&mut self, _: u8) {
        // `str` ends itself with a byte, which matters to composed keys only.
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stay_as_they_are() {
        let texts = [
            "",
            "a",
            "UA",
            "abc",
            "N14228",
            "a longer text",
            "one of more than sixteen",
        ];
        let found = texts.map(|text| text_hash(text.as_bytes()));
        assert_eq!(
            found,
            [
                15_536_021_610_081_610_915,
                4_145_850_288_967_548_623,
                306_088_210_716_412_673,
                5_595_638_778_877_774_687,
                16_219_479_637_955_232_042,
                5_562_634_442_686_090_527,
                10_100_255_213_056_335_760
            ]
        );
    }

    #[test]
    fn close_texts_do_not_collide() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..40 {
            seen.insert(text_hash(&vec![b'a'; length]));
            for at in 0..length {
                let mut text = vec![b'a'; length];
                text[at] = b'b';
                seen.insert(text_hash(&text));
            }
        }
        assert_eq!(seen.len(), (0..40).map(|n| n + 1).sum::<usize>());
    }
}
