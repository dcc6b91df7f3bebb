//! Keys of rows: 128 bits that stand for the values of some columns, and a set of them.
//!
//! Two different rows share a key with a probability of about 2^-128, so that among 10^9 rows a
//! false duplicate has a chance of less than 10^-20: exact for every purpose but that of somebody
//! who constructs collisions, since the hash is not keyed. Values are read from the columns as
//! they are, so 64-bit integers are told apart beyond 2^53. Whole floats are equal to integers,
//! −0 to 0, and missing to missing.

use tidegate_schema::{Column, Primitive};

/// A row's key.
pub(super) type Key = [u64; 2];

const SEED: Key = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;
/// What a missing value is mixed in as; see [`mix_missing`].
const NOTHING: u64 = 0xa409_3822_299f_31d0;
/// Marks the length of a text of eight bytes or more, which no short text begins with.
const LONG: u64 = 0xff << 56;

/// Both halves of the 128-bit product, folded (the step of wyhash).
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
const fn mix(key: Key, word: u64) -> Key {
    [
        fold(key[0] ^ word, FIRST),
        fold(key[1] ^ word.rotate_left(32), SECOND),
    ]
}

#[inline]
const fn mix_missing(key: Key) -> Key {
    let [first, second] = mix(key, NOTHING);
    // No value does this, so that no number stands for missing.
    [first, second ^ FIRST]
}

/// A float as the word of the integer that it is equal to, if it is one.
#[inline]
fn float_word(value: f64) -> u64 {
    /// From here on floats are whole, but not each whole number is one.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    let whole = value as i64;
    if whole as f64 == value && value.abs() < WHOLE {
        whole as u64
    } else {
        value.to_bits()
    }
}

#[inline]
fn mix_text(mut key: Key, text: &str) -> Key {
    let bytes = text.as_bytes();
    let length = bytes.len();
    let four = |at: usize| -> u64 {
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[at..at + 4]);
        u64::from(u32::from_le_bytes(word))
    };
    let short = match length {
        0 => 0,
        1..4 => {
            let middle = length / 2;
            u64::from(bytes[0])
                | u64::from(bytes[middle]) << (8 * middle)
                | u64::from(bytes[length - 1]) << (8 * (length - 1))
        }
        4..8 => four(0) | four(length - 4) << (8 * (length - 4)),
        _ => {
            key = mix(key, LONG | length as u64);
            for chunk in bytes.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                key = mix(key, u64::from_le_bytes(word));
            }
            return key;
        }
    };
    mix(key, short | (length as u64) << 56)
}

#[inline]
fn mix_values<T: Copy>(
    keys: &mut [Key],
    column: &Primitive<'_, T>,
    word: impl Fn(T) -> Option<u64>,
) {
    let all = column.validity.is_all();
    for (row, (key, &value)) in keys.iter_mut().zip(column.values).enumerate() {
        *key = match word(value) {
            Some(word) if all || column.validity.get(row) => mix(*key, word),
            _ => mix_missing(*key),
        };
    }
}

/// Writes the keys of the rows of some columns, all of one length, over what `keys` held.
pub fn row_keys(columns: &[Column<'_>], rows: usize, keys: &mut Vec<[u64; 2]>) {
    keys.clear();
    keys.resize(rows, SEED);
    for column in columns {
        match column {
            Column::Bool(values) => mix_values(keys, values, |value| Some(u64::from(value))),
            Column::Int64(values)
            | Column::Timestamp(values)
            | Column::Date(values)
            | Column::Duration(values) => {
                mix_values(keys, values, |value| Some(value as u64));
            }
            Column::Float64(values) => mix_values(keys, values, |value: f64| {
                (!value.is_nan()).then(|| float_word(value))
            }),
            Column::String(texts) => {
                let mut keys = keys.iter_mut();
                texts.for_each(|text| {
                    if let Some(key) = keys.next() {
                        *key = text.map_or_else(|| mix_missing(*key), |text| mix_text(*key, text));
                    }
                });
            }
            // How many items there are comes first: no two lists run into each other.
            Column::NumberList(lists) => {
                for (row, key) in keys.iter_mut().enumerate() {
                    *key = lists.get(row).map_or_else(
                        || mix_missing(*key),
                        |items| {
                            let key = mix(*key, items.len() as u64);
                            items
                                .iter()
                                .fold(key, |key, &item| mix(key, float_word(item)))
                        },
                    );
                }
            }
            Column::TextList(lists) => {
                for (row, key) in keys.iter_mut().enumerate() {
                    *key = lists.get(row).map_or_else(
                        || mix_missing(*key),
                        |items| {
                            let key = mix(*key, items.len() as u64);
                            items.fold(key, |key, item| {
                                item.map_or_else(|| mix_missing(key), |text| mix_text(key, text))
                            })
                        },
                    );
                }
            }
        }
    }
    for key in keys.iter_mut() {
        // What marks a vacant place of a set is no key.
        if *key == VACANT {
            *key = SEED;
        }
    }
}

const VACANT: Key = [0; 2];
/// Fewest places of a set.
const PLACES: usize = 1 << 10;
/// Keys that are looked up together, so that the processor waits for memory once and not for each.
const TOGETHER: usize = 16;

/// A set of keys: open addressing, at most three quarters full.
#[derive(Clone, Debug)]
pub struct KeySet {
    places: Vec<Key>,
    len: usize,
}

impl Default for KeySet {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl KeySet {
    /// An empty set with room for so many keys.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        let places = (keys + keys / 3 + 1).next_power_of_two().max(PLACES);
        Self {
            places: vec![VACANT; places],
            len: 0,
        }
    }

    /// How many keys it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Does it hold none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The keys, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key> + '_ {
        self.places.iter().copied().filter(|key| *key != VACANT)
    }

    /// The keys in order, in the memory of the set.
    pub(super) fn into_sorted(self) -> Vec<Key> {
        let mut keys = self.places;
        keys.retain(|key| *key != VACANT);
        keys.sort_unstable();
        keys
    }

    #[inline]
    fn home(&self, key: Key) -> usize {
        key[0] as usize & (self.places.len() - 1)
    }

    /// The place of a key, or the vacant one where it would stand.
    #[inline]
    fn place(&self, key: Key) -> usize {
        let mask = self.places.len() - 1;
        let mut at = self.home(key);
        while self.places[at] != key && self.places[at] != VACANT {
            at = (at + 1) & mask;
        }
        at
    }

    /// Is the key in the set?
    #[must_use]
    pub fn contains(&self, key: [u64; 2]) -> bool {
        self.places[self.place(key)] == key
    }

    /// Puts a key in; false if it was there.
    #[inline]
    pub fn insert(&mut self, key: [u64; 2]) -> bool {
        let at = self.place(key);
        if self.places[at] == key {
            return false;
        }
        self.places[at] = key;
        self.len += 1;
        if self.len > self.places.len() / 4 * 3 {
            self.grow();
        }
        true
    }

    /// Puts keys in and calls `known` with the position of each that was there.
    pub(super) fn insert_all(&mut self, keys: &[Key], mut known: impl FnMut(usize)) {
        for (chunk, some) in keys.chunks(TOGETHER).enumerate() {
            let touched = some
                .iter()
                .fold(0, |touched, key| touched ^ self.places[self.home(*key)][0]);
            std::hint::black_box(touched);
            for (position, key) in some.iter().enumerate() {
                if !self.insert(*key) {
                    known(chunk * TOGETHER + position);
                }
            }
        }
    }

    fn grow(&mut self) {
        let mut larger = Self {
            places: vec![VACANT; self.places.len() * 2],
            len: self.len,
        };
        for key in self.iter() {
            let at = larger.place(key);
            larger.places[at] = key;
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{Strings, Validity};

    use super::*;

    fn keys(columns: &[Column<'_>], rows: usize) -> Vec<Key> {
        let mut keys = Vec::new();
        row_keys(columns, rows, &mut keys);
        keys
    }

    #[test]
    fn equal_values_of_different_types_share_a_key() {
        let floats = keys(
            &[Column::Float64(Primitive::all(&[1.0, -0.0, f64::NAN]))],
            3,
        );
        let bits = [0b011];
        let integers = Primitive {
            values: &[1_i64, 0, 7][..],
            validity: Validity::bitmap(&bits, 0),
        };
        assert_eq!(floats, keys(&[Column::Int64(integers)], 3));
    }

    #[test]
    fn integers_beyond_2_53_are_told_apart() {
        let values = [1_i64 << 60, (1 << 60) + 1];
        let found = keys(&[Column::Int64(Primitive::all(&values))], 2);
        assert_ne!(found[0], found[1]);
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let mut seen = std::collections::HashSet::new();
        let mut pairs = 0;
        let alphabet = [
            "",
            "a",
            "b",
            "aa",
            "a\0",
            "abcd",
            "abcdefg",
            "abcdefgh",
            "abcdefgha",
            "é",
        ];
        for left in alphabet {
            for right in alphabet {
                let columns = [
                    Column::String(Strings::slices(std::slice::from_ref(&left), Validity::ALL)),
                    Column::String(Strings::slices(std::slice::from_ref(&right), Validity::ALL)),
                ];
                seen.insert(keys(&columns, 1)[0]);
                pairs += 1;
            }
        }
        assert_eq!(seen.len(), pairs);
    }

    #[test]
    fn a_set_holds_what_a_set_of_the_library_holds() {
        let values: Vec<i64> = (0..50_000).map(|i| i * 7919 % 20_011).collect();
        let found = keys(&[Column::Int64(Primitive::all(&values))], values.len());
        let mut set = KeySet::default();
        let mut repeated = 0;
        set.insert_all(&found, |_| repeated += 1);
        let distinct: std::collections::HashSet<_> = values.iter().collect();
        assert_eq!(set.len(), distinct.len());
        assert_eq!(repeated, values.len() - distinct.len());
        assert_eq!(set.iter().count(), set.len());
        assert!(found.iter().all(|key| set.contains(*key)));
        assert!(!set.contains([3, 4]));
    }
}
