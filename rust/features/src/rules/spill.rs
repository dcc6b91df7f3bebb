//! Keys on disk, cut into parts by their bits, so that equal keys meet in one part.
//!
//! The parts share a file, since a process may have few of them open: each has blocks of it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_schema::{Error, ErrorKind, Result};

use super::keys::Key;

/// Bits of a key that choose its part.
const BITS: u32 = 6;
/// Into how many parts keys are cut.
pub(super) const PARTS: usize = 1 << BITS;
/// Bytes of an entry.
const ENTRY: usize = 24;
/// Bytes of a part that stay in memory: what is more goes to a file, this much at a time.
const BLOCK: usize = 2_048 * ENTRY;

/// A row's key and its number.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub key: Key,
    pub row: u64,
}

impl Entry {
    /// The number of a row that is not known: of a key that was in memory before.
    pub const UNKNOWN: u64 = u64::MAX;

    /// The entry of a key whose row is not known.
    pub const fn of(key: Key) -> Self {
        Self {
            key,
            row: Self::UNKNOWN,
        }
    }
}

/// What a file that cannot be written or read means to the caller.
pub(super) fn failed(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "keys that exceed their memory cannot be kept in {}: {error}: make room there, or set TMPDIR",
            std::env::temp_dir().display()
        ),
    )
}

/// A file that has no name: it is gone when it is closed, however the process ends.
pub(super) fn nameless() -> std::io::Result<File> {
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

/// Entries of one part: the last ones in memory, those before in blocks of a file.
#[derive(Clone, Default)]
struct Part {
    /// Where its blocks are, in the order in which they came.
    blocks: Vec<u64>,
    last: Vec<u8>,
}

/// Entries in parts, each in the order in which they came. All parts share one file.
pub(super) struct Parts {
    file: Option<File>,
    /// Blocks of the file.
    blocks: u64,
    parts: Vec<Part>,
}

impl Parts {
    pub fn new() -> Self {
        Self {
            file: None,
            blocks: 0,
            parts: vec![Part::default(); PARTS],
        }
    }

    pub fn push(&mut self, part: usize, entry: Entry) -> Result<()> {
        let Some(part) = self.parts.get_mut(part) else {
            return Err(Error::internal("a part of the keys is not there"));
        };
        if part.last.len() >= BLOCK {
            append(&mut self.file, self.blocks, &part.last).map_err(|error| failed(&error))?;
            part.blocks.push(self.blocks);
            part.last.clear();
            self.blocks += 1;
        }
        for word in [entry.key[0], entry.key[1], entry.row] {
            part.last.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    /// Calls `each` with every entry of a part in order.
    pub fn each(&mut self, part: usize, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let Some(part) = self.parts.get(part) else {
            return Ok(());
        };
        if let Some(file) = &mut self.file {
            let mut block = vec![0; BLOCK];
            for place in &part.blocks {
                file.seek(SeekFrom::Start(place * BLOCK as u64))
                    .and_then(|_| file.read_exact(&mut block))
                    .map_err(|error| failed(&error))?;
                entries(&block, &mut each)?;
            }
        }
        entries(&part.last, &mut each)
    }
}

fn append(file: &mut Option<File>, blocks: u64, block: &[u8]) -> std::io::Result<()> {
    let file = match file {
        Some(file) => file,
        none => none.insert(nameless()?),
    };
    file.seek(SeekFrom::Start(blocks * BLOCK as u64))?;
    file.write_all(block)
}

fn entries(bytes: &[u8], each: &mut impl FnMut(Entry) -> Result<()>) -> Result<()> {
    let (words, _) = bytes.as_chunks::<8>();
    let (entries, _) = words.as_chunks::<3>();
    entries.iter().try_for_each(|entry| {
        let [first, second, row] = entry.map(u64::from_le_bytes);
        each(Entry {
            key: [first, second],
            row,
        })
    })
}

/// Entries cut into parts. All that a part holds shares its leading bits, so that the parts are in
/// the order of their keys, and a part that is too large is cut by the bits that follow.
pub(super) struct Spill {
    /// How often keys were cut before.
    depth: u32,
    parts: Parts,
}

impl Spill {
    pub fn new(depth: u32) -> Self {
        Self {
            depth,
            parts: Parts::new(),
        }
    }

    pub const fn depth(&self) -> u32 {
        self.depth
    }

    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let bits = u128::from(entry.key[0]) << 64 | u128::from(entry.key[1]);
        // Past the last bit there is one part, whose keys are all alike.
        let rest = bits.checked_shl(self.depth * BITS).unwrap_or(0);
        self.parts
            .push((rest >> (u128::BITS - BITS)) as usize, entry)
    }

    /// Calls `each` with every entry of a part in order. Parts are in the order of their keys.
    pub fn each(&mut self, part: usize, each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        self.parts.each(part, each)
    }
}
