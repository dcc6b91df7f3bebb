//! Keys on disk, cut into parts by their bits, so that equal keys meet in one part.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_schema::{Error, ErrorKind, Result};

use super::keys::Key;

/// Into how many parts the keys are cut. One part's keys are in memory at a time.
const PARTS: usize = 64;
/// Bytes of an entry on disk.
const ENTRY: usize = 24;
/// Most keys of one part: beyond it the end would take more memory than the bound says.
const MAX_PART: u64 = 64 << 20;

/// A row's key and its number.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub key: Key,
    pub row: u64,
}

impl Entry {
    /// The number of a row that is not known: of a key that was in memory before.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// Entries in temporary files, in the order in which they came.
pub(super) struct Spill {
    parts: Vec<(BufWriter<File>, u64)>,
}

fn failed(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "keys that exceed their memory cannot be written to {}: {error}: make room there, or set TMPDIR",
            std::env::temp_dir().display()
        ),
    )
}

/// A file that has no name: it is gone when it is closed, however the process ends.
fn nameless() -> std::io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-keys-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        match opened {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

impl Spill {
    pub fn new() -> Result<Self> {
        let parts = (0..PARTS)
            .map(|_| nameless().map(|file| (BufWriter::with_capacity(1 << 16, file), 0)))
            .collect::<std::io::Result<_>>()
            .map_err(|error| failed(&error))?;
        Ok(Self { parts })
    }

    pub fn push(&mut self, entry: Entry) -> Result<()> {
        // The low bits of the first half choose places within a set.
        let part = (entry.key[1] >> 58) as usize & (PARTS - 1);
        let Some((file, count)) = self.parts.get_mut(part) else {
            return Err(Error::internal("a part of the keys is not there"));
        };
        *count += 1;
        if *count > MAX_PART {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "more than {} rows to be told apart: validate parts of the data by themselves",
                    MAX_PART * PARTS as u64
                ),
            ));
        }
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&entry.key[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&entry.key[1].to_le_bytes());
        bytes[16..].copy_from_slice(&entry.row.to_le_bytes());
        file.write_all(&bytes).map_err(|error| failed(&error))
    }

    /// Calls `each` with the entries of every part in turn.
    pub fn each_part(&mut self, mut each: impl FnMut(Vec<Entry>) -> Result<()>) -> Result<()> {
        for (file, count) in &mut self.parts {
            let entries = read(file, *count).map_err(|error| failed(&error))?;
            each(entries)?;
        }
        Ok(())
    }
}

fn read(file: &mut BufWriter<File>, count: u64) -> std::io::Result<Vec<Entry>> {
    file.flush()?;
    let file = file.get_mut();
    file.seek(SeekFrom::Start(0))?;
    let mut reader = std::io::BufReader::with_capacity(1 << 16, file);
    let mut entries = Vec::with_capacity(count as usize);
    let mut bytes = [0; ENTRY];
    let word = |bytes: &[u8], at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    for _ in 0..count {
        reader.read_exact(&mut bytes)?;
        entries.push(Entry {
            key: [word(&bytes, 0), word(&bytes, 8)],
            row: word(&bytes, 16),
        });
    }
    Ok(entries)
}
