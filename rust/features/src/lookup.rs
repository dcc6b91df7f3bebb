//! Category to position: open addressing over known keys, several times as fast as a general map.
//!
//! Texts of at most eight bytes, which most codes are, are packed into one integer and compared as
//! such; the table is at most a quarter full, so the first probe nearly always decides.

use tidegate_sketch::text_hash;

/// Multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Texts up to this many bytes are packed.
const PACKED: usize = 8;

#[derive(Clone, Copy)]
struct Slot {
    /// The packed text or its hash; for numbers their bits.
    key: u64,
    /// Length of the text; [`EMPTY`] where nothing is.
    length: u32,
    position: u32,
}

const EMPTY: u32 = u32::MAX;
const VACANT: Slot = Slot {
    key: 0,
    length: EMPTY,
    position: 0,
};

/// Where each of some texts stands.
pub(crate) struct TextMap {
    slots: Box<[Slot]>,
    shift: u32,
    /// The long texts, by position.
    texts: Box<[Box<str>]>,
}

/// Up to eight bytes as an integer, different for different texts of one length.
#[inline]
fn pack(bytes: &[u8]) -> u64 {
    let four = |at: usize| -> u64 {
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[at..at + 4]);
        u64::from(u32::from_le_bytes(word))
    };
    match bytes.len() {
        0 => 0,
        length @ 1..4 => {
            u64::from(bytes[0])
                | u64::from(bytes[length / 2]) << 8
                | u64::from(bytes[length - 1]) << 16
        }
        length => four(0) | four(length - 4) << 32,
    }
}

#[inline]
fn key_of(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if bytes.len() <= PACKED {
        pack(bytes)
    } else {
        text_hash(bytes)
    }
}

#[inline]
fn home(key: u64, length: u32, shift: u32) -> usize {
    ((key ^ u64::from(length).rotate_right(8)).wrapping_mul(GOLDEN) >> shift) as usize
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
    /// A map from each text to its position.
    pub(crate) fn new(texts: &[String]) -> Self {
        let (mut slots, shift) = room(texts.len());
        let mask = slots.len() - 1;
        for (position, text) in texts.iter().enumerate() {
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
                    let long = text.len() > PACKED;
                    Box::from(if long { text.as_str() } else { "" })
                })
                .collect(),
        }
    }

    /// Where a text stands.
    #[inline]
    pub(crate) fn get(&self, text: &str) -> Option<usize> {
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
pub(crate) struct NumberMap {
    slots: Box<[Slot]>,
    shift: u32,
}

impl NumberMap {
    /// A map from each number to its position; −0 and 0 are one number.
    pub(crate) fn new(numbers: &[f64]) -> Self {
        let (mut slots, shift) = room(numbers.len());
        let mask = slots.len() - 1;
        for (position, number) in numbers.iter().enumerate() {
            let key = (number + 0.0).to_bits();
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
    pub(crate) fn get(&self, number: f64) -> Option<usize> {
        let key = (number + 0.0).to_bits();
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
        assert_eq!(TextMap::new(&[]).get("x"), None);
        assert_eq!(TextMap::new(&[String::new()]).get(""), Some(0));
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
