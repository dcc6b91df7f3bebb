//! The keys of a table's rows, kept with their numbers: which rows repeat is asked when all are
//! there, also of rows that stand elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};

use tidegate_schema::{Error, Result};

use super::distinct::{Distinct, Settled, limit};
use super::keys::{Key, KeySet};
use super::rowset::RowSet;
use super::spill::{Entry, PARTS, Spill, failed, nameless};

/// Keys with the numbers of their rows, in bounded memory: cut into parts, and on disk.
pub struct KeyLog {
    rows: Spill,
    count: u64,
    /// Keys that stand elsewhere, cut alike.
    known: Spill,
    /// The different keys of the rows in order, once they are asked for.
    sorted: Option<File>,
    /// Most keys of a set.
    limit: usize,
}

/// Writes keys in order.
struct Sorted<'a>(&'a mut dyn FnMut(&[Key]) -> Result<()>);

impl Settled for Sorted<'_> {
    fn repeats(&mut self, _row: u64) -> Result<()> {
        Ok(())
    }

    fn keys(&mut self, keys: KeySet) -> Result<()> {
        (self.0)(&keys.into_sorted())
    }
}

/// Takes the rows that repeat.
struct Repeats(RowSet);

impl Settled for Repeats {
    fn repeats(&mut self, row: u64) -> Result<()> {
        // What is known may be so from several places.
        if row == Entry::UNKNOWN {
            return Ok(());
        }
        self.0.insert(row)
    }

    fn keys(&mut self, _keys: KeySet) -> Result<()> {
        Ok(())
    }
}

impl KeyLog {
    /// An empty one. A set of keys takes at most so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            rows: Spill::new(0),
            count: 0,
            known: Spill::new(0),
            sorted: None,
            limit: limit(bytes),
        }
    }

    /// Takes in the keys of the rows that follow.
    pub fn update(&mut self, keys: &[[u64; 2]]) -> Result<()> {
        self.sorted = None;
        for key in keys {
            self.rows.push(Entry {
                key: *key,
                row: self.count,
            })?;
            self.count += 1;
        }
        Ok(())
    }

    /// Calls `each` with the different keys in order, in pieces.
    pub fn keys(&mut self, each: &mut dyn FnMut(&[[u64; 2]]) -> Result<()>) -> Result<()> {
        let mut told = Sorted(each);
        for part in 0..PARTS {
            let mut below = Distinct::below(self.rows.depth() + 1, self.limit);
            self.rows.each(part, |entry| below.push(entry, &mut told))?;
            below.settle(&mut told)?;
        }
        Ok(())
    }

    /// Takes in keys of rows that stand elsewhere, in order, as [`write_keys`] wrote them. Only those
    /// that a row here has too are kept.
    ///
    /// # Errors
    /// `State` if they are cut off or not in order.
    pub fn know(&mut self, keys: impl Read) -> Result<()> {
        let sorted = match self.sorted.take() {
            Some(sorted) => sorted,
            None => self.sort()?,
        };
        let sorted = self.sorted.insert(sorted);
        sorted
            .seek(SeekFrom::Start(0))
            .map_err(|error| failed(&error))?;
        let (mut ours, mut theirs) = (Keys::new(sorted), Keys::new(keys));
        let (mut one, mut other) = (ours.next()?, theirs.next()?);
        while let (Some(own), Some(key)) = (one, other) {
            if own == key {
                self.known.push(Entry::of(key))?;
            }
            if own <= key {
                one = ours.next()?;
            }
            if key <= own {
                other = theirs.next()?;
            }
        }
        Ok(())
    }

    fn sort(&mut self) -> Result<File> {
        let file = nameless().map_err(|error| failed(&error))?;
        let mut writer = BufWriter::new(file);
        self.keys(&mut |keys| write_keys(keys, &mut writer))?;
        writer
            .into_inner()
            .map_err(|error| failed(&error.into_error()))
    }

    /// The rows that repeat: of whose key there is a row elsewhere, or one before them.
    pub fn repeats(&mut self) -> Result<RowSet> {
        let mut told = Repeats(RowSet::new(self.count));
        for part in 0..PARTS {
            let mut below = Distinct::below(self.rows.depth() + 1, self.limit);
            for spill in [&mut self.known, &mut self.rows] {
                spill.each(part, |entry| below.push(entry, &mut told))?;
            }
            below.settle(&mut told)?;
        }
        Ok(told.0)
    }
}

/// Writes keys as files hold them: both halves, the highest byte first, so that the order of the
/// bytes is that of the keys.
///
/// # Errors
/// `TooLarge` if there is no room.
pub fn write_keys(keys: &[[u64; 2]], to: &mut impl Write) -> Result<()> {
    for [first, second] in keys {
        to.write_all(&first.to_be_bytes())
            .and_then(|()| to.write_all(&second.to_be_bytes()))
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Keys as they are read.
struct Keys<R: Read> {
    reader: BufReader<R>,
    last: Option<Key>,
}

impl<R: Read> Keys<R> {
    fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(1 << 16, reader),
            last: None,
        }
    }

    fn next(&mut self) -> Result<Option<Key>> {
        let left = self.reader.fill_buf().map_err(|error| failed(&error))?;
        if left.is_empty() {
            return Ok(None);
        }
        let mut halves = [[0; 8]; 2];
        for half in &mut halves {
            self.reader
                .read_exact(half)
                .map_err(|error| match error.kind() {
                    ErrorKind::UnexpectedEof => damaged("ends within a key"),
                    _ => failed(&error),
                })?;
        }
        let key = halves.map(u64::from_be_bytes);
        if self.last.is_some_and(|last| last >= key) {
            return Err(damaged("is not in order"));
        }
        self.last = Some(key);
        Ok(Some(key))
    }
}

fn damaged(how: &str) -> Error {
    Error::new(
        tidegate_schema::ErrorKind::State,
        format!(
            "a file of keys {how}: it was cut off or edited; delete it, and those of its part are made anew"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn rows(set: &mut RowSet, cuts: &[u64], count: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut begin = 0;
        for &cut in cuts.iter().chain(&[count]) {
            let end = cut.clamp(begin, count);
            set.each(begin, end - begin, |row| found.push(row)).unwrap();
            begin = end;
        }
        found
    }

    fn bytes(keys: &BTreeSet<Key>) -> Vec<u8> {
        let keys: Vec<Key> = keys.iter().copied().collect();
        let mut bytes = Vec::new();
        write_keys(&keys, &mut bytes).unwrap();
        bytes
    }

    /// A key that parts from its neighbours at the first bits, or at the last ones only.
    fn key((late, value): (bool, u64)) -> Key {
        if late {
            [7, value]
        } else {
            [value.wrapping_mul(0x9e37_79b9_7f4a_7c15), value + 1]
        }
    }

    fn some(most: usize) -> impl Strategy<Value = Vec<Key>> {
        let one = (any::<bool>(), 0u64..300).prop_map(key);
        prop::collection::vec(one, 0..most)
    }

    proptest! {
        #[test]
        fn what_repeats_is_what_a_set_says(
            own in some(1_200),
            elsewhere in prop::collection::vec(some(200), 0..3),
            limit in 1usize..30,
            cuts in prop::collection::vec(0u64..1_200, 0..4),
        ) {
            let mut log = KeyLog { limit, ..KeyLog::new(0) };
            let half = own.len() / 2;
            log.update(&own[..half]).unwrap();
            log.update(&own[half..]).unwrap();
            let mut sorted = Vec::new();
            log.keys(&mut |keys| {
                sorted.extend_from_slice(keys);
                Ok(())
            }).unwrap();
            let expected: BTreeSet<Key> = own.iter().copied().collect();
            prop_assert_eq!(&sorted, &expected.into_iter().collect::<Vec<_>>());
            let mut seen = HashSet::new();
            for keys in elsewhere {
                let keys: BTreeSet<Key> = keys.into_iter().collect();
                log.know(bytes(&keys).as_slice()).unwrap();
                seen.extend(keys);
            }
            let expected: Vec<u64> = (0..)
                .zip(&own)
                .filter(|(_, key)| !seen.insert(**key))
                .map(|(row, _)| row)
                .collect();
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut found = log.repeats().unwrap();
            prop_assert_eq!(found.len(), expected.len() as u64);
            prop_assert_eq!(rows(&mut found, &cuts, own.len() as u64), expected);
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut log = KeyLog::new(0);
        log.update(&[[1, 2], [3, 4], [5, 6]]).unwrap();
        let whole = bytes(&[[1, 2], [3, 4]].into_iter().collect());
        let turned = [&whole[16..], &whole[..16]].concat();
        for (damaged, part) in [(&whole[..20], "ends within"), (&turned[..], "not in order")] {
            let error = log.know(damaged).unwrap_err();
            assert_eq!(error.kind, tidegate_schema::ErrorKind::State);
            assert!(error.message.contains(part), "{error}");
        }
    }
}
