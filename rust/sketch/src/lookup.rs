//! Category to position: open addressing over known keys, several times as fast as a general map.
//!
//! Texts of at most sixteen bytes, which most codes and names are, are packed into two integers and
//! compared as such; the table is at most a quarter full, so the first probe nearly always decides.

use crate::text_hash;

/// Multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Texts up to this many bytes are packed.
const PACKED: usize = 16;

/// The packed text or its hash; for numbers their bits.
type Key = [u64; 2];

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    /// Length of the text; [`EMPTY`] where nothing is.
    length: u32,
    position: u32,
}

const EMPTY: u32 = u32::MAX;
const VACANT: Slot = Slot {
    key: [0; 2],
    length: EMPTY,
    position: 0,
};

/// Where each of some texts stands: built once, never changed. A stranger may choose what is looked
/// up, but not what is in the table, so no lookup is longer than its longest cluster.
#[derive(Clone, Debug)]
pub struct TextMap {
    slots: Box<[Slot]>,
    shift: u32,
    /// The long texts, by position.
    texts: Box<[Box<str>]>,
}

/// Up to sixteen bytes as two integers, different for different texts of one length: the first and
/// the last bytes, which overlap where they are more than the text.
#[inline]
fn pack(bytes: &[u8]) -> Key {
    let four = |at: usize| -> u64 {
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[at..at + 4]);
        u64::from(u32::from_le_bytes(word))
    };
    let eight = |at: usize| -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    match bytes.len() {
        0 => [0; 2],
        length @ 1..4 => {
            let first = u64::from(bytes[0])
                | u64::from(bytes[length / 2]) << 8
                | u64::from(bytes[length - 1]) << 16;
            [first, 0]
        }
        length @ 4..8 => [four(0) | four(length - 4) << 32, 0],
        length => [eight(0), eight(length - 8)],
    }
}

#[inline]
fn key_of(text: &str) -> Key {
    let bytes = text.as_bytes();
    if bytes.len() <= PACKED {
        pack(bytes)
    } else {
        [text_hash(bytes), 0]
    }
}

#[inline]
fn home(key: Key, length: u32, shift: u32) -> usize {
    let mixed = key[0] ^ key[1].rotate_left(23) ^ u64::from(length).rotate_right(8);
    (mixed.wrapping_mul(GOLDEN) >> shift) as usize
}

/// A table at most a quarter full, and the shift that turns a product into a place in it.
fn room(keys: usize) -> (Box<[Slot]>, u32) {
    let size = (keys * 4).next_power_of_two().max(8);
    (
        vec![VACANT; size].into_boxed_slice(),
        64 - size.trailing_zeros(),
    )
}

impl TextMap {
    /// A map from each text to its position; of equal texts the first counts.
    #[must_use]
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        let (mut slots, shift) = room(texts.len());
        let mask = slots.len() - 1;
        for (position, text) in texts.iter().enumerate() {
            let text = text.as_ref();
            let (key, length) = (key_of(text), text.len() as u32);
            let mut at = home(key, length, shift);
            while slots[at].length != EMPTY {
                at = (at + 1) & mask;
            }
            slots[at] = Slot {
                key,
                length,
                position: position as u32,
            };
        }
        Self {
            slots,
            shift,
            texts: texts
                .iter()
                .map(|text| {
                    let text = text.as_ref();
                    Box::from(if text.len() > PACKED { text } else { "" })
                })
                .collect(),
        }
    }

    /// Where a text stands.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<usize> {
        let (key, length) = (key_of(text), text.len() as u32);
        let mask = self.slots.len() - 1;
        let mut at = home(key, length, self.shift);
        loop {
            let slot = self.slots[at & mask];
            if slot.length == EMPTY {
                return None;
            }
            if slot.key == key && slot.length == length {
                let position = slot.position as usize;
                if text.len() <= PACKED || self.texts[position].as_bytes() == text.as_bytes() {
                    return Some(position);
                }
            }
            at += 1;
        }
    }
}

/// Where each of some numbers stands.
#[derive(Clone, Debug)]
pub struct NumberMap {
    slots: Box<[Slot]>,
    shift: u32,
}

impl NumberMap {
    /// A map from each number to its position; −0 and 0 are one number.
    #[must_use]
    pub fn new(numbers: &[f64]) -> Self {
        let (mut slots, shift) = room(numbers.len());
        let mask = slots.len() - 1;
        for (position, number) in numbers.iter().enumerate() {
            let key = [(number + 0.0).to_bits(), 0];
            let mut at = home(key, 0, shift);
            while slots[at].length != EMPTY {
                at = (at + 1) & mask;
            }
            slots[at] = Slot {
                key,
                length: 0,
                position: position as u32,
            };
        }
        Self { slots, shift }
    }

    /// Where a number stands.
    #[inline]
    #[must_use]
    pub fn get(&self, number: f64) -> Option<usize> {
        let key = [(number + 0.0).to_bits(), 0];
        let mask = self.slots.len() - 1;
        let mut at = home(key, 0, self.shift);
        loop {
            let slot = self.slots[at & mask];
            if slot.length == EMPTY {
                return None;
            }
            if slot.key == key {
                return Some(slot.position as usize);
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_no_other() {
        let texts: Vec<String> = (0..3000)
            .map(|i| match i % 4 {
                0 => format!("{i}"),
                1 => format!("{i:08}"),
                2 => format!("long text number {i}"),
                _ => "é".repeat(i % 7) + &i.to_string(),
            })
            .collect();
        let map = TextMap::new(&texts);
        for (position, text) in texts.iter().enumerate() {
            assert_eq!(map.get(text), Some(position));
            assert_eq!(map.get(&format!("{text}~")), None);
        }
        assert_eq!(map.get(""), None);
        assert_eq!(TextMap::new::<&str>(&[]).get("x"), None);
        let twice = TextMap::new(&["", "a", "", "a"]);
        assert_eq!((twice.get(""), twice.get("a")), (Some(0), Some(1)));
    }

    #[test]
    fn every_number_is_found_and_no_other() {
        let numbers: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.25 - 7.0).collect();
        let map = NumberMap::new(&numbers);
        for (position, &number) in numbers.iter().enumerate() {
            assert_eq!(map.get(number), Some(position));
            assert_eq!(map.get(number + 0.1), None);
        }
        assert_eq!(map.get(-0.0), map.get(0.0));
        assert_eq!(map.get(f64::NAN), None);
    }
}
