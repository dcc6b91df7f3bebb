//! Which rows have been seen before: exact, in memory that is bounded.

use tidegate_schema::Result;

use super::keys::{Key, KeySet};
use super::sample::Rows;
use super::spill::{Entry, PARTS, Spill};

/// Memory that one set of keys may take before it continues on disk: 8 million rows.
pub const DISTINCT_BYTES: usize = 256 << 20;

/// Fewest keys that a set may hold: smaller ones would take no less memory.
const FEWEST: usize = 512;

/// Counts rows whose key has been seen before.
///
/// Keys stay in memory up to a bound. Then all of them go to temporary files, cut into parts by
/// their bits, and the rows that repeat are found at the end, part by part. A part whose keys
/// exceed the bound is cut again by the bits that follow, as often as it takes: each key is read
/// and written once for each time that the keys are 64 times as many as the bound.
pub struct Distinct {
    set: KeySet,
    /// Most keys of the set.
    limit: usize,
    /// How often the keys were cut before they came here.
    depth: u32,
    spill: Option<Spill>,
    rows: u64,
    repeated: u64,
}

/// What was counted.
pub(super) struct Counted {
    /// Rows whose key an earlier row had.
    pub repeated: u64,
    /// Different keys.
    pub distinct: u64,
    /// Rows that were found at the end only.
    pub late: Rows,
}

/// What the end is told of.
pub(super) trait Settled {
    /// A row repeats, which was not known before. Its number is [`Entry::UNKNOWN`] if that was lost.
    fn repeats(&mut self, row: u64) -> Result<()>;
    /// Different keys. Those of one call are all below those of the next.
    fn keys(&mut self, keys: KeySet) -> Result<()>;
}

impl Settled for Counted {
    fn repeats(&mut self, row: u64) -> Result<()> {
        self.repeated += 1;
        if row != Entry::UNKNOWN {
            self.late.push(row);
        }
        Ok(())
    }

    fn keys(&mut self, keys: KeySet) -> Result<()> {
        self.distinct += keys.len() as u64;
        Ok(())
    }
}

/// How many keys a set may hold that takes at most so many bytes.
pub(super) fn limit(bytes: usize) -> usize {
    // Sets double: while one grows, three halves of its final size are taken.
    (bytes / size_of::<Key>() / 2).max(FEWEST)
}

impl Distinct {
    /// For about so many rows, in at most so many bytes of memory.
    #[must_use]
    pub fn new(rows: usize, bytes: usize) -> Self {
        let limit = limit(bytes);
        Self {
            set: KeySet::with_capacity(rows.min(limit)),
            ..Self::below(0, limit)
        }
    }

    /// For keys that were cut so often, at most so many of them in memory.
    pub(super) fn below(depth: u32, limit: usize) -> Self {
        Self {
            set: KeySet::default(),
            limit,
            depth,
            spill: None,
            rows: 0,
            repeated: 0,
        }
    }

    /// Takes in the keys of rows and calls `known` with the position of each that was seen before,
    /// as far as that is known at once: not after the keys went to disk.
    pub fn update(&mut self, keys: &[[u64; 2]], mut known: impl FnMut(usize)) -> Result<()> {
        let begin = self.rows;
        self.rows += keys.len() as u64;
        if let Some(spill) = &mut self.spill {
            for (row, key) in (begin..).zip(keys) {
                spill.push(Entry { key: *key, row })?;
            }
            return Ok(());
        }
        let repeated = &mut self.repeated;
        self.set.insert_all(keys, |position| {
            *repeated += 1;
            known(position);
        });
        if self.set.len() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    /// Takes in an entry that was on disk.
    pub(super) fn push(&mut self, entry: Entry, told: &mut dyn Settled) -> Result<()> {
        if let Some(spill) = &mut self.spill {
            return spill.push(entry);
        }
        if !self.set.insert(entry.key) {
            return told.repeats(entry.row);
        }
        if self.set.len() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<&mut Spill> {
        let mut spill = match self.spill.take() {
            Some(spill) => spill,
            None => Spill::new(self.depth),
        };
        for key in std::mem::take(&mut self.set).iter() {
            spill.push(Entry::of(key))?;
        }
        Ok(self.spill.insert(spill))
    }

    /// Takes in what another has seen in rows after these. Rows that repeat across the two are
    /// counted, but not known by number unless they were on disk.
    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        let begin = self.rows;
        self.rows += other.rows;
        self.repeated += other.repeated;
        if self.spill.is_none() && other.spill.is_none() {
            let keys: Vec<Key> = other.set.iter().collect();
            let repeated = &mut self.repeated;
            self.set.insert_all(&keys, |_| *repeated += 1);
            if self.set.len() > self.limit {
                self.spill()?;
            }
            return Ok(());
        }
        let spill = self.spill()?;
        for key in other.set.iter() {
            spill.push(Entry::of(key))?;
        }
        if let Some(mut theirs) = other.spill {
            for part in 0..PARTS {
                theirs.each(part, |entry| {
                    let row = if entry.row == Entry::UNKNOWN {
                        entry.row
                    } else {
                        entry.row + begin
                    };
                    spill.push(Entry { row, ..entry })
                })?;
            }
        }
        Ok(())
    }

    /// Tells what is still to be told: rows that repeat, and all keys, those of a part after those
    /// of the parts before it. Each cut takes bits of the keys, and equal keys are one in a set, so
    /// that there is an end to it whatever the keys are.
    pub(super) fn settle(self, told: &mut dyn Settled) -> Result<()> {
        let Some(mut spill) = self.spill else {
            return told.keys(self.set);
        };
        for part in 0..PARTS {
            let mut below = Self::below(spill.depth() + 1, self.limit);
            spill.each(part, |entry| below.push(entry, told))?;
            below.settle(told)?;
        }
        Ok(())
    }

    /// What was counted; at most `sample` of the rows that are found late.
    pub(super) fn finish(self, sample: usize) -> Result<Counted> {
        let mut counted = Counted {
            repeated: self.repeated,
            distinct: 0,
            late: Rows::new(sample),
        };
        self.settle(&mut counted)?;
        Ok(counted)
    }

    /// Have the keys gone to disk?
    #[cfg(test)]
    const fn is_spilled(&self) -> bool {
        self.spill.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Keys of the numbers 0 to 6,999, most of them twice.
    fn keys() -> Vec<Key> {
        (0..10_000_u64)
            .map(|i| {
                let value = i * 7919 % 7_000;
                [
                    value.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                    value << 50 | 1,
                ]
            })
            .collect()
    }

    /// What a set of the library says: how many keys there are, and which rows repeat.
    fn plain(keys: &[Key]) -> (u64, Vec<u64>) {
        let mut seen = HashSet::new();
        let rows = (0..).zip(keys).filter(|(_, key)| !seen.insert(**key));
        let rows = rows.map(|(row, _)| row).collect();
        (seen.len() as u64, rows)
    }

    /// The same of pieces, at once or late, and whether keys went to disk.
    fn counted(mut distinct: Distinct, keys: &[Key], cuts: &[usize]) -> (u64, Vec<u64>, bool) {
        let mut known = Vec::new();
        let mut begin = 0;
        for &cut in cuts.iter().chain(&[keys.len()]) {
            distinct
                .update(&keys[begin..cut], |position| {
                    known.push((begin + position) as u64)
                })
                .unwrap();
            begin = cut;
        }
        let spilled = distinct.is_spilled();
        let counted = distinct.finish(usize::MAX).unwrap();
        known.extend(counted.late.into_vec());
        known.sort_unstable();
        assert_eq!(counted.repeated, known.len() as u64);
        (counted.distinct, known, spilled)
    }

    #[test]
    fn the_bound_changes_nothing_but_where_keys_are() {
        let cuts = [1_000, 1_001, 5_000];
        let expected: Vec<u64> = (7_000..10_000).collect();
        for (bytes, spilled) in [(DISTINCT_BYTES, false), (64_000, true)] {
            assert_eq!(
                counted(Distinct::new(0, bytes), &keys(), &cuts),
                (7_000, expected.clone(), spilled)
            );
        }
    }

    /// Hundreds of thousands of keys where some hundred fit: files of many blocks, cut again.
    #[test]
    fn many_times_the_bound_is_exact() {
        let hashed = |value: u64| {
            let first = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            [first ^ first >> 31, !first]
        };
        let keys: Vec<Key> = (0..400_000_u64).map(|i| hashed(i * i % 300_007)).collect();
        let (distinct, rows) = plain(&keys);
        assert!(distinct > 100 * 512);
        let found = counted(Distinct::new(0, 0), &keys, &[100, 250_000]);
        assert_eq!(found, (distinct, rows, true));
    }

    /// How the bits of a key follow from a number: apart from the first bit on, in the middle, or in
    /// the last bits only, so that keys part after more than twenty cuts.
    fn key(shape: usize, value: u64) -> Key {
        match shape {
            0 => [value.wrapping_mul(0x9e37_79b9_7f4a_7c15), value + 1],
            1 => [value << 20 | 7, 7],
            2 => [7, value << 30],
            _ => [7, value],
        }
    }

    proptest! {
        /// A bound of a few keys, so that a part is cut again and again.
        #[test]
        fn a_bound_of_few_keys_is_exact(
            values in prop::collection::vec((0usize..4, 0u64..400), 0..1_500),
            one in prop::collection::vec(0u64..3, 0..300),
            limit in 1usize..20,
            cut in 0usize..1_800,
        ) {
            let mut keys: Vec<Key> = values.into_iter().map(|(shape, value)| key(shape, value)).collect();
            // Heavy duplicates, which are one key in a set however often they come.
            keys.extend(one.into_iter().map(|value| key(3, value)));
            let cut = cut.min(keys.len());
            let (distinct, rows) = plain(&keys);
            let found = counted(Distinct::below(0, limit), &keys, &[cut]);
            prop_assert_eq!(found, (distinct, rows.clone(), distinct > limit as u64));
            // Apart, and merged.
            let mut pieces = [limit, limit * 40].map(|limit| Distinct::below(0, limit));
            for (piece, keys) in pieces.iter_mut().zip([&keys[..cut], &keys[cut..]]) {
                piece.update(keys, |_| {}).unwrap();
            }
            let [mut left, right] = pieces;
            left.merge(right).unwrap();
            let merged = left.finish(10).unwrap();
            prop_assert_eq!((merged.distinct, merged.repeated), (distinct, rows.len() as u64));
        }
    }

    #[test]
    fn pieces_count_what_the_whole_counts() {
        let keys = keys();
        for bounds in [
            [DISTINCT_BYTES, DISTINCT_BYTES],
            [DISTINCT_BYTES, 16_000],
            [16_000, DISTINCT_BYTES],
            [16_000, 16_000],
        ] {
            let mut pieces = bounds.map(|bytes| Distinct::new(0, bytes));
            pieces[0].update(&keys[..4_000], |_| {}).unwrap();
            pieces[1].update(&keys[4_000..], |_| {}).unwrap();
            let [mut left, right] = pieces;
            left.merge(right).unwrap();
            let counted = left.finish(10).unwrap();
            assert_eq!((counted.repeated, counted.distinct), (3_000, 7_000));
        }
    }
}
