//! Category to position: open addressing over known keys, several times as fast as a general map.
//!
//! A text is looked up by its *view*, sixteen bytes that Arrow's string views hold already and that
//! are compared as one integer; longer texts are compared byte by byte once their view is found.
//! Among few texts the table is perfect: a multiplier is searched for under which each has a place
//! of its own, so that one look decides, whether a text is known or not, without a branch.

/// Multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Texts up to this many bytes are a view as a whole.
const INLINE: usize = 12;
/// Up to so many keys a multiplier without collisions is searched for.
const PERFECT_KEYS: usize = 256;
/// Multipliers that are tried for each size of the table.
const TRIES: u64 = 64;
/// Tables of this many places a key are tried, the smallest first.
const SPARSE: [usize; 3] = [4, 8, 16];

/// A text as 16 bytes, little-endian, as Arrow's string views have it: the length in four bytes;
/// then the text, with zeros behind it, if it has up to twelve bytes, else its first four.
#[inline]
#[must_use]
pub fn text_view(text: &str) -> u128 {
    let bytes = text.as_bytes();
    let four = |at: usize| -> u128 {
        let chunk = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
        chunk.map_or(0, |chunk| u32::from_le_bytes(*chunk).into())
    };
    let one = |at: usize| u128::from(bytes[at]) << (8 * at);
    // Parts overlap where they are more than the text.
    let (length, low) = match bytes.len() {
        0 => (0, 0),
        length @ 1..4 => (length, one(0) | one(length / 2) | one(length - 1)),
        length @ 4..8 => (length, four(0) | four(length - 4) << (8 * (length - 4))),
        length @ 8..=INLINE => {
            let last = four(length - 4) << (8 * (length - 4));
            (length, four(0) | four(4) << 32 | last)
        }
        // A longer one than 32 bits tell is compared as a whole, as all long ones are.
        length => (length.min(u32::MAX as usize - 1), four(0)),
    };
    low << 32 | length as u128
}

/// Does a view hold only the beginning of its text?
#[inline]
const fn is_long(view: u128) -> bool {
    view as u32 as usize > INLINE
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// [`EMPTY`] where nothing is.
    view: u128,
    position: u32,
}

/// The view of no text: none is so long and begins so.
const EMPTY: u128 = u128::MAX;
const VACANT: Slot = Slot {
    view: EMPTY,
    position: 0,
};

/// Where each of some texts stands: built once, never changed. A stranger may choose what is looked
/// up, but not what is in the table, so no lookup is longer than its longest cluster.
#[derive(Clone, Debug)]
pub struct TextMap {
    slots: Box<[Slot]>,
    multiplier: u64,
    shift: u32,
    /// No two texts want one place: the first look decides.
    perfect: bool,
    /// Is one of the texts longer than its view?
    long: bool,
    /// The long texts, by position.
    texts: Box<[Box<str>]>,
}

#[inline]
fn home(view: u128, multiplier: u64, shift: u32) -> usize {
    let mixed = view as u64 ^ ((view >> 64) as u64).rotate_left(23);
    (mixed.wrapping_mul(multiplier) >> shift) as usize
}

/// Places of a table for so many keys, and the shift that turns a product into one of them.
fn room(keys: usize, sparse: usize) -> (usize, u32) {
    let size = (keys * sparse).next_power_of_two().max(8);
    (size, 64 - size.trailing_zeros())
}

/// A multiplier and shift under which no two of these views want one place.
fn separate(views: &[u128]) -> Option<(u64, u32)> {
    if views.len() > PERFECT_KEYS {
        return None;
    }
    for sparse in SPARSE {
        let (size, shift) = room(views.len(), sparse);
        let mut taken = vec![0; size];
        for attempt in 1..=TRIES {
            let multiplier = GOLDEN.wrapping_mul(2 * attempt - 1);
            let free = views.iter().all(|&view| {
                let place = &mut taken[home(view, multiplier, shift)];
                std::mem::replace(place, attempt) != attempt
            });
            if free {
                return Some((multiplier, shift));
            }
        }
    }
    None
}

impl TextMap {
    /// A map from each text to its position; of equal texts the first counts.
    #[must_use]
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        let views: Vec<u128> = texts.iter().map(|text| text_view(text.as_ref())).collect();
        let found = separate(&views);
        let (multiplier, shift) = found.unwrap_or((GOLDEN, room(views.len(), SPARSE[0]).1));
        let mut slots = vec![VACANT; 1 << (64 - shift)].into_boxed_slice();
        let mask = slots.len() - 1;
        for (position, &view) in views.iter().enumerate() {
            let mut at = home(view, multiplier, shift);
            while slots[at].view != EMPTY {
                at = (at + 1) & mask;
            }
            slots[at] = Slot {
                view,
                position: position as u32,
            };
        }
        Self {
            slots,
            multiplier,
            shift,
            perfect: found.is_some(),
            long: views.iter().any(|&view| is_long(view)),
            texts: texts
                .iter()
                .zip(&views)
                .map(|(text, &view)| Box::from(if is_long(view) { text.as_ref() } else { "" }))
                .collect(),
        }
    }

    /// Where a text stands.
    #[inline]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<usize> {
        self.find(text_view(text), || text)
    }

    /// Where the text of a view stands; `text` is asked for it where the view is only its beginning.
    #[inline]
    pub fn find<'t>(&self, view: u128, text: impl Fn() -> &'t str) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut at = home(view, self.multiplier, self.shift);
        loop {
            let slot = self.slots[at & mask];
            if slot.view == view {
                let position = slot.position as usize;
                if !is_long(view) || *self.texts[position] == *text() {
                    return Some(position);
                }
            }
            if slot.view == EMPTY {
                return None;
            }
            at += 1;
        }
    }

    /// Writes where the text of each view stands, `unknown` for texts that are not here. `text` is
    /// asked for those whose view is only their beginning, by their number among the views.
    #[inline]
    pub fn find_all<'t>(
        &self,
        views: &[u128],
        unknown: u32,
        out: &mut [u32],
        text: impl Fn(usize) -> &'t str,
    ) {
        if self.perfect {
            let mask = self.slots.len() - 1;
            for (out, &view) in out.iter_mut().zip(views) {
                let slot = self.slots[home(view, self.multiplier, self.shift) & mask];
                // All ones if the views are equal, else zero, computed: a branch would be mistaken
                // wherever unknown texts are frequent.
                let differ = (slot.view ^ view) as u64 | ((slot.view ^ view) >> 64) as u64;
                let known = (((differ | differ.wrapping_neg()) >> 63) as u32).wrapping_sub(1);
                *out = slot.position & known | unknown & !known;
            }
            if self.long {
                let beginnings = views.iter().enumerate().filter(|(_, view)| is_long(**view));
                for (at, _) in beginnings {
                    let Some(out) = out.get_mut(at) else { break };
                    if self
                        .texts
                        .get(*out as usize)
                        .is_some_and(|known| **known != *text(at))
                    {
                        *out = unknown;
                    }
                }
            }
            return;
        }
        for (at, (out, &view)) in out.iter_mut().zip(views).enumerate() {
            let found = self.find(view, || text(at));
            *out = found.map_or(unknown, |position| position as u32);
        }
    }
}

/// Where each of some numbers stands.
#[derive(Clone, Debug)]
pub struct NumberMap {
    /// The bits of numbers, [`NO_NUMBER`] where nothing is, and their positions.
    slots: Box<[(u64, u32)]>,
    shift: u32,
}

/// Bits that no number looked for has: those of a NaN.
const NO_NUMBER: u64 = u64::MAX;

#[inline]
fn number_home(key: u64, shift: u32) -> usize {
    (key.wrapping_mul(GOLDEN) >> shift) as usize
}

impl NumberMap {
    /// A map from each number to its position; −0 and 0 are one number, NaN is none.
    #[must_use]
    pub fn new(numbers: &[f64]) -> Self {
        let (size, shift) = room(numbers.len(), SPARSE[0]);
        let mut slots = vec![(NO_NUMBER, 0); size].into_boxed_slice();
        let mask = slots.len() - 1;
        let known = numbers.iter().enumerate();
        for (position, number) in known.filter(|(_, number)| !number.is_nan()) {
            let key = (number + 0.0).to_bits();
            let mut at = number_home(key, shift);
            while slots[at].0 != NO_NUMBER {
                at = (at + 1) & mask;
            }
            slots[at] = (key, position as u32);
        }
        Self { slots, shift }
    }

    /// Where a number stands.
    #[inline]
    #[must_use]
    pub fn get(&self, number: f64) -> Option<usize> {
        let key = (number + 0.0).to_bits();
        let mask = self.slots.len() - 1;
        let mut at = number_home(key, self.shift);
        loop {
            let (known, position) = self.slots[at & mask];
            if known == NO_NUMBER {
                return None;
            }
            if known == key {
                return Some(position as usize);
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
    fn views_are_those_of_arrow() {
        for length in 0..40 {
            let text: String = ('A'..).take(length).collect();
            let mut view = [0; 16];
            view[..4].copy_from_slice(&(length as u32).to_le_bytes());
            let kept = if length > INLINE { 4 } else { length };
            view[4..4 + kept].copy_from_slice(&text.as_bytes()[..kept]);
            assert_eq!(text_view(&text), u128::from_le_bytes(view), "{length}");
        }
    }

    #[test]
    fn all_at_once_are_found_as_one_by_one() {
        let short: Vec<String> = (0..200).map(|i| format!("N{i}")).collect();
        let long: Vec<String> = (0..9).map(|i| "long".repeat(i + 4)).collect();
        assert!(TextMap::new(&long).perfect);
        let mixed: Vec<String> = (0..200)
            .map(|i| "x".repeat(i % 20) + &i.to_string())
            .collect();
        let many: Vec<String> = (0..5000).map(|i| format!("{i}")).collect();
        assert!(TextMap::new(&short).perfect);
        for texts in [short, long, mixed, many] {
            let map = TextMap::new(&texts);
            let asked: Vec<String> = texts
                .iter()
                .flat_map(|text| [text.clone(), format!("{text}?"), format!("?{text}")])
                .collect();
            let views: Vec<u128> = asked.iter().map(|text| text_view(text)).collect();
            let mut found = vec![0; views.len()];
            map.find_all(&views, 77_777, &mut found, |at| &asked[at]);
            for (text, found) in asked.iter().zip(found) {
                assert_eq!(map.get(text).unwrap_or(77_777), found as usize, "{text}");
            }
        }
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
        assert_eq!(map.get(f64::from_bits(NO_NUMBER)), None);
        assert_eq!(NumberMap::new(&[f64::NAN, 1.0]).get(1.0), Some(1));
    }
}
