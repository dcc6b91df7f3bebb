//! From a known text to its cell, without hashing twice or touching the heap.

use tidegate_sketch::text_hash;

/// An open-addressing table that never changes once it is built. A stranger can choose what is
/// looked up, but not what is in the table, so no lookup is longer than its longest cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    slots: Vec<Slot>,
    text: String,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    start: u32,
    /// One past the last byte; 0 marks a free slot.
    end: u32,
    cell: u32,
}

impl Slot {
    const FREE: Self = Self {
        hash: 0,
        start: 0,
        end: 0,
        cell: 0,
    };
}

impl Lookup {
    /// A table of these texts; of equal ones the first counts. Texts of 4 GiB together and more
    /// are left out.
    pub(crate) fn new<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, u32)>) -> Self {
        let places = (2 * pairs.len()).next_power_of_two().max(2);
        // The arena begins with a byte that belongs to no text, so that no slot in use ends at 0.
        let mut lookup = Self {
            slots: vec![Slot::FREE; places],
            text: String::from("\0"),
        };
        for (text, cell) in pairs {
            let start = lookup.text.len();
            let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(start + text.len()))
            else {
                continue;
            };
            let hash = text_hash(text.as_bytes());
            if lookup.find(text).is_some() {
                continue;
            }
            let mask = lookup.slots.len() - 1;
            let mut place = hash as usize & mask;
            while lookup.slots[place].end != 0 {
                place = (place + 1) & mask;
            }
            lookup.slots[place] = Slot {
                hash,
                start,
                end,
                cell,
            };
            lookup.text.push_str(text);
        }
        lookup
    }

    /// The cell of a text, if it is known.
    #[inline]
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let hash = text_hash(text.as_bytes());
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots.get(place)?;
            if slot.end == 0 {
                return None;
            }
            if slot.hash == hash {
                let known = self
                    .text
                    .as_bytes()
                    .get(slot.start as usize..slot.end as usize);
                if known == Some(text.as_bytes()) {
                    return Some(slot.cell);
                }
            }
            place = (place + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_nothing_else() {
        let texts: Vec<String> = (0..1000).map(|i| format!("N{i}")).collect();
        let lookup = Lookup::new(
            texts
                .iter()
                .zip(0u32..)
                .map(|(t, i)| (t.as_str(), i))
                .collect::<Vec<_>>()
                .into_iter(),
        );
        for (text, cell) in texts.iter().zip(0u32..) {
            assert_eq!(lookup.find(text), Some(cell));
        }
        for unknown in ["", "N", "N1000", "\0", "N01"] {
            assert_eq!(lookup.find(unknown), None);
        }
    }

    #[test]
    fn the_empty_text_and_the_empty_table() {
        let lookup = Lookup::new([("", 3), ("a", 4), ("", 5)].into_iter());
        assert_eq!(
            (lookup.find(""), lookup.find("a"), lookup.find("b")),
            (Some(3), Some(4), None)
        );
        assert_eq!(Lookup::new([].into_iter()).find(""), None);
        assert_eq!(Lookup::default().find("x"), None);
    }
}
