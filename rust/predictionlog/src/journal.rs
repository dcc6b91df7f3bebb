//! An append-only journal in a folder: what a process has written is there after it was killed.
//!
//! A journal is a sequence of files. Each begins with what has to be known to read it alone, so
//! that the oldest can be removed once nothing in it is needed any more. A record is its length,
//! its checksum (CRC-32) and its bytes; reading a file ends at the first that does not hold, which
//! is where a killed process was writing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tidegate_schema::{Error, ErrorKind, Result};

use crate::Record;
use crate::record::MAX_RECORD;

/// What each file begins with; the last byte is the version of the format. Version 2 knows by which plan
/// of traffic predictions were answered.
const MAGIC: [u8; 8] = *b"tgawait\x02";
/// Held by the process that writes.
const LOCK: &str = "lock";
/// Bytes that are gathered before they are written.
const GATHER: usize = 1 << 16;
/// Bytes before the bytes of a record.
const HEAD: usize = 8;

/// What was found when a journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that were read.
    pub records: u64,
    /// Bytes that were not, because their checksum does not hold or they are not all there.
    pub damaged_bytes: u64,
}

/// A journal that this process writes.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Held for as long as the journal is open.
    _lock: File,
    file: Option<File>,
    /// The number of the file that is written.
    number: u64,
    /// Numbers of the files before it.
    older: Vec<u64>,
    /// Written into the current file, with what is gathered.
    bytes: u64,
    gathered: Vec<u8>,
    failures: u64,
}

impl Journal {
    /// Opens the journal in a folder, which is made, and gives every record to `each`, oldest
    /// first, with the number of its file. Nothing can be written before [`Journal::rotate`].
    ///
    /// # Errors
    /// `State` when another process has it open, a later tidegate wrote it, or the folder cannot
    /// be used.
    pub fn open(folder: &Path, mut each: impl FnMut(u64, Record)) -> Result<(Self, Recovered)> {
        let failed = |error: io::Error| {
            Error::state(format!(
                "the folder of predictions that await labels, {}, cannot be used: {error}",
                folder.display()
            ))
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::state(format!(
                    "another process keeps its predictions in {}: give each process a folder of its own",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let numbers = numbers(folder).map_err(failed)?;
        let mut recovered = Recovered::default();
        for number in &numbers {
            let bytes = fs::read(path(folder, *number)).map_err(failed)?;
            read(&bytes, &mut recovered, |record| each(*number, record))
                .map_err(|error| error.at(path(folder, *number).display()))?;
        }
        let journal = Self {
            folder: folder.to_owned(),
            _lock: lock,
            file: None,
            number: numbers.last().copied().unwrap_or(0),
            older: numbers,
            bytes: 0,
            gathered: Vec::new(),
            failures: 0,
        };
        Ok((journal, recovered))
    }

    /// Begins a new file with these records, which must tell all that later ones stand on, and
    /// makes the one before durable.
    pub fn rotate<'r>(&mut self, records: impl IntoIterator<Item = &'r Record>) {
        self.flush();
        if let Some(file) = self.file.take() {
            // What a killed process leaves is in the system's cache; this is for a lost machine.
            let synced = file.sync_data();
            self.failures += u64::from(synced.is_err());
            self.older.push(self.number);
        }
        self.number += 1;
        let target = path(&self.folder, self.number);
        let opened = OpenOptions::new().create_new(true).write(true).open(target);
        self.failures += u64::from(opened.is_err());
        self.file = opened.ok();
        self.gathered.clear();
        self.gathered.extend_from_slice(&MAGIC);
        self.bytes = MAGIC.len() as u64;
        for record in records {
            self.append(record);
        }
        self.flush();
    }

    /// Gathers a record. It is written by [`Journal::flush`], or when enough has gathered.
    pub fn append(&mut self, record: &Record) {
        let start = self.gathered.len();
        self.gathered.extend_from_slice(&[0; HEAD]);
        record.write(&mut self.gathered);
        let length = self.gathered.len() - start - HEAD;
        if length > MAX_RECORD {
            self.gathered.truncate(start);
            self.failures += 1;
            return;
        }
        if let Some((head, body)) = self
            .gathered
            .get_mut(start..)
            .and_then(|b| b.split_at_mut_checked(HEAD))
        {
            let checksum = crc32fast::hash(body);
            let (first, second) = head.split_at_mut(4);
            first.copy_from_slice(&(length as u32).to_le_bytes());
            second.copy_from_slice(&checksum.to_le_bytes());
        }
        self.bytes += (HEAD + length) as u64;
        if self.gathered.len() >= GATHER {
            self.flush();
        }
    }

    /// Gives the system what has gathered: from then on it survives the process. What cannot be
    /// written is dropped and counted, and the file is given up until the next.
    pub fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.gathered).is_ok(),
            None => false,
        };
        if !written {
            self.failures += 1;
            self.file = None;
        }
        self.gathered.clear();
    }

    /// Bytes of the current file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the current file.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Writes that failed: a full disk, a folder that is gone.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// Can it be written at this time?
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        self.file.is_some()
    }

    /// Removes the files before this one: nothing in them is needed any more. Never the current
    /// one, and none while the current one cannot be written.
    pub fn forget_before(&mut self, number: u64) {
        if self.file.is_none() {
            return;
        }
        let (folder, failures) = (&self.folder, &mut self.failures);
        self.older.retain(|older| {
            if *older >= number {
                return true;
            }
            *failures += u64::from(fs::remove_file(path(folder, *older)).is_err());
            false
        });
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("awaiting-{number:012}.log"))
}

fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("awaiting-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(bytes: &[u8], recovered: &mut Recovered, mut each: impl FnMut(Record)) -> Result<()> {
    let body = bytes.strip_prefix(&MAGIC[..7]);
    let Some((version, mut rest)) = body.and_then(<[u8]>::split_first) else {
        recovered.damaged_bytes += bytes.len() as u64;
        return Ok(());
    };
    if *version > MAGIC[7] {
        return Err(Error::new(
            ErrorKind::State,
            format!(
                "a journal of version {version} is newer than {}, the newest this tidegate reads: upgrade tidegate, or name another folder",
                MAGIC[7]
            ),
        ));
    }
    while let Some(record) = next(&mut rest) {
        recovered.records += 1;
        each(record);
    }
    recovered.damaged_bytes += rest.len() as u64;
    Ok(())
}

/// The next record, taken off the bytes; `None` where they end or do not hold.
fn next(rest: &mut &[u8]) -> Option<Record> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (checksum, after) = after.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (body, after) = after.split_at_checked(length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let record = Record::read(body)?;
    *rest = after;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("tidegate-journal-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn note(slot: u32) -> Record {
        Record::Note {
            slot,
            text: format!("note {slot}"),
        }
    }

    fn slots(folder: &Path) -> (Vec<u32>, Recovered) {
        let mut found = Vec::new();
        let (_, recovered) = Journal::open(folder, |_, record| {
            if let Record::Note { slot, .. } = record {
                found.push(slot);
            }
        })
        .unwrap();
        (found, recovered)
    }

    #[test]
    fn what_was_flushed_is_read_in_order_and_old_files_are_forgotten() {
        let folder = Folder::new("order");
        {
            let (mut journal, recovered) = Journal::open(&folder.0, |_, _| {}).unwrap();
            assert_eq!(recovered, Recovered::default());
            let message = Journal::open(&folder.0, |_, _| {}).unwrap_err().message;
            assert!(message.contains("folder of its own"), "{message}");
            journal.rotate([&note(0)]);
            journal.append(&note(1));
            journal.rotate([&note(2)]);
            journal.append(&note(3));
            journal.flush();
            journal.append(&note(4));
        }
        assert_eq!(slots(&folder.0).0, [0, 1, 2, 3]);
        {
            let (mut journal, _) = Journal::open(&folder.0, |_, _| {}).unwrap();
            journal.rotate([&note(5)]);
            journal.forget_before(journal.number());
            assert_eq!(journal.failures(), 0);
        }
        assert_eq!(slots(&folder.0).0, [5]);
    }

    #[test]
    fn a_torn_or_changed_tail_is_left_out_and_counted() {
        let folder = Folder::new("torn");
        let (mut journal, _) = Journal::open(&folder.0, |_, _| {}).unwrap();
        journal.rotate(&[note(0), note(1), note(2)]);
        drop(journal);
        let file = path(&folder.0, 1);
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            let (found, recovered) = slots(&folder.0);
            assert!(found.iter().copied().eq(0..found.len() as u32), "{found:?}");
            let complete = recovered.records as usize * (whole.len() - 8) / 3 + 8;
            let damaged = if cut < 8 { cut } else { cut - complete };
            assert_eq!(recovered.damaged_bytes as usize, damaged, "cut at {cut}");
        }
        let mut changed = whole.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        fs::write(&file, &changed).unwrap();
        assert_eq!(slots(&folder.0).0, [0, 1]);
    }

    #[test]
    fn the_journal_of_a_later_version_is_refused() {
        let folder = Folder::new("later");
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(path(&folder.0, 1), b"tgawait\x03anything").unwrap();
        let error = Journal::open(&folder.0, |_, _| {}).unwrap_err();
        assert_eq!(error.kind, ErrorKind::State);
        assert!(error.message.contains("upgrade tidegate"), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_nothing_breaks() {
        let folder = Folder::new("gone");
        let (mut journal, _) = Journal::open(&folder.0, |_, _| {}).unwrap();
        fs::remove_dir_all(&folder.0).unwrap();
        journal.rotate([&note(0)]);
        journal.append(&note(1));
        journal.flush();
        assert!(journal.failures() >= 2 && !journal.is_writing());
        fs::create_dir_all(&folder.0).unwrap();
        journal.rotate([&note(2)]);
        assert!(journal.is_writing());
        drop(journal);
        assert_eq!(slots(&folder.0).0, [2]);
    }
}
