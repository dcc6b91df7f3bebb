//! Which rows have been seen before: exact, in memory that is bounded.

use tidegate_schema::Result;

use super::keys::{Key, KeySet};
use super::sample::Rows;
use super::spill::{Entry, Spill};

/// Memory that one set of keys may take before it continues on disk: 8 million rows.
pub const DISTINCT_BYTES: usize = 256 << 20;

/// Counts rows whose key has been seen before.
///
/// Keys stay in memory up to a bound. Then all of them go to temporary files, cut into parts by
/// their bits, and the rows that repeat are found at the end, part by part: one pass over the data
/// and one over the keys, however many there are.
pub struct Distinct {
    set: KeySet,
    /// Most keys of the set.
    limit: usize,
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

impl Distinct {
    /// For about so many rows, in at most so many bytes of memory.
    #[must_use]
    pub fn new(rows: usize, bytes: usize) -> Self {
        // Sets double: while one grows, three halves of its final size are taken.
        let limit = (bytes / size_of::<Key>() / 2).max(1);
        Self {
            set: KeySet::with_capacity(rows.min(limit)),
            limit,
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

    /// Takes in keys of rows that stand elsewhere: a row with one of them repeats, and they are no
    /// rows themselves.
    pub(super) fn know(&mut self, keys: impl Iterator<Item = Key>) {
        keys.for_each(|key| {
            self.set.insert(key);
        });
    }

    /// The keys in order, unless they went to disk.
    pub(super) fn keys(&self) -> Option<Vec<Key>> {
        if self.is_spilled() {
            return None;
        }
        let mut keys: Vec<Key> = self.set.iter().collect();
        keys.sort_unstable();
        Some(keys)
    }

    /// Have the keys gone to disk?
    #[must_use]
    pub const fn is_spilled(&self) -> bool {
        self.spill.is_some()
    }

    fn spill(&mut self) -> Result<&mut Spill> {
        let mut spill = match self.spill.take() {
            Some(spill) => spill,
            None => Spill::new()?,
        };
        for key in std::mem::take(&mut self.set).iter() {
            spill.push(Entry {
                key,
                row: Entry::UNKNOWN,
            })?;
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
            spill.push(Entry {
                key,
                row: Entry::UNKNOWN,
            })?;
        }
        if let Some(mut theirs) = other.spill {
            theirs.each_part(|entries| {
                entries.into_iter().try_for_each(|entry| {
                    let row = if entry.row == Entry::UNKNOWN {
                        entry.row
                    } else {
                        entry.row + begin
                    };
                    spill.push(Entry { row, ..entry })
                })
            })?;
        }
        Ok(())
    }

    /// What was counted; at most `sample` of the rows that are found late.
    pub(super) fn finish(mut self, sample: usize) -> Result<Counted> {
        let mut late = Rows::new(sample);
        let mut distinct = self.set.len() as u64;
        let mut repeated = self.repeated;
        if let Some(mut spill) = self.spill.take() {
            spill.each_part(|entries| {
                let mut set = KeySet::with_capacity(entries.len());
                for entry in entries {
                    if set.insert(entry.key) {
                        continue;
                    }
                    repeated += 1;
                    if entry.row != Entry::UNKNOWN {
                        late.push(entry.row);
                    }
                }
                distinct += set.len() as u64;
                Ok(())
            })?;
        }
        Ok(Counted {
            repeated,
            distinct,
            late,
        })
    }
}

#[cfg(test)]
mod tests {
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

    fn counted(bytes: usize, cuts: &[usize]) -> (u64, u64, bool, Vec<u64>) {
        let mut distinct = Distinct::new(0, bytes);
        let keys = keys();
        let mut known = Vec::new();
        let mut begin = 0;
        for &cut in cuts {
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
        (counted.repeated, counted.distinct, spilled, known)
    }

    #[test]
    fn the_bound_changes_nothing_but_where_keys_are() {
        let cuts = [1_000, 1_001, 5_000, 10_000];
        let expected: Vec<u64> = (7_000..10_000).collect();
        assert_eq!(
            counted(DISTINCT_BYTES, &cuts),
            (3_000, 7_000, false, expected.clone())
        );
        assert_eq!(counted(64_000, &cuts), (3_000, 7_000, true, expected));
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
