//! What a journal holds, as bytes: little-endian numbers, nothing aligned.

use crate::{Chunk, Mark, PredictionId};

/// Largest record: a state of many windows and segments is some MiB.
pub(crate) const MAX_RECORD: usize = 1 << 30;

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A model's place: what the caller says of it.
    Slot {
        /// The place.
        slot: u32,
        /// The caller's own document.
        text: String,
    },
    /// Something to be known of a model later.
    Note {
        /// The model's place.
        slot: u32,
        /// The caller's own document.
        text: String,
    },
    /// Predictions that await their labels.
    Chunk(Chunk),
    /// The label of a row.
    Label {
        /// The prediction.
        id: PredictionId,
        /// Which of its rows.
        row: u32,
        /// The label.
        label: f64,
    },
    /// A named number of a row.
    Metric {
        /// The prediction.
        id: PredictionId,
        /// Which of its rows.
        row: u32,
        /// Which of the model's names.
        metric: u32,
        /// The number.
        value: f64,
    },
    /// What the caller has made of all records before.
    State {
        /// The caller's own document.
        text: String,
    },
}

impl Record {
    /// Appends its bytes.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Slot { slot, text } => text_record(to, 1, *slot, text),
            Self::Note { slot, text } => text_record(to, 2, *slot, text),
            Self::Chunk(chunk) => {
                to.push(7);
                number(to, chunk.slot);
                number(to, chunk.width);
                long(to, chunk.origin);
                number(to, chunk.marks.len() as u32);
                for mark in &chunk.marks {
                    long(to, mark.id.prefix);
                    long(to, mark.id.count);
                    number(to, mark.first_row);
                    number(to, mark.rows);
                    long(to, mark.time.to_bits());
                }
                for value in &chunk.values {
                    long(to, value.to_bits());
                }
            }
            Self::Label { id, row, label } => {
                to.push(4);
                long(to, id.prefix);
                long(to, id.count);
                number(to, *row);
                long(to, label.to_bits());
            }
            Self::Metric {
                id,
                row,
                metric,
                value,
            } => {
                to.push(5);
                long(to, id.prefix);
                long(to, id.count);
                number(to, *row);
                number(to, *metric);
                long(to, value.to_bits());
            }
            Self::State { text } => text_record(to, 6, 0, text),
        }
    }

    /// Reads the bytes of one record; `None` for what is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&kind, bytes) = bytes.split_first()?;
        let mut bytes = Bytes(bytes);
        let record = match kind {
            1 | 2 | 6 => {
                let slot = bytes.number()?;
                let text = String::from_utf8(std::mem::take(&mut bytes.0).to_vec()).ok()?;
                match kind {
                    1 => Self::Slot { slot, text },
                    2 => Self::Note { slot, text },
                    _ => Self::State { text },
                }
            }
            // As version 1 of the journal has it.
            3 => Self::Chunk(bytes.chunk(false)?),
            4 => Self::Label {
                id: bytes.id()?,
                row: bytes.number()?,
                label: bytes.float()?,
            },
            5 => Self::Metric {
                id: bytes.id()?,
                row: bytes.number()?,
                metric: bytes.number()?,
                value: bytes.float()?,
            },
            7 => Self::Chunk(bytes.chunk(true)?),
            _ => return None,
        };
        bytes.0.is_empty().then_some(record)
    }
}

fn text_record(to: &mut Vec<u8>, kind: u8, slot: u32, text: &str) {
    to.push(kind);
    number(to, slot);
    to.extend_from_slice(text.as_bytes());
}

fn number(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn long(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

/// Bytes that are left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn float(&mut self) -> Option<f64> {
        self.long().map(f64::from_bits)
    }

    fn id(&mut self) -> Option<PredictionId> {
        Some(PredictionId {
            prefix: self.long()?,
            count: self.long()?,
        })
    }

    fn chunk(&mut self, has_origin: bool) -> Option<Chunk> {
        /// Bytes of a mark.
        const MARK: usize = 32;
        let (slot, width) = (self.number()?, self.number()?);
        let origin = if has_origin { self.long()? } else { 0 };
        let marks = self.number()?;
        // Nothing is reserved on a mere claim.
        if self.0.len() / MARK < marks as usize {
            return None;
        }
        let mut chunk = Chunk {
            slot,
            width,
            origin,
            marks: Vec::with_capacity(marks as usize),
            values: Vec::new(),
        };
        for _ in 0..marks {
            chunk.marks.push(Mark {
                id: self.id()?,
                first_row: self.number()?,
                rows: self.number()?,
                time: self.float()?,
            });
        }
        chunk.values.reserve(self.0.len() / size_of::<f64>());
        while !self.0.is_empty() {
            chunk.values.push(self.float()?);
        }
        chunk.is_whole().then_some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> Vec<Record> {
        let id = PredictionId {
            prefix: 1,
            count: u64::MAX,
        };
        let text = "{\"é\":1}".to_owned();
        let mark = Mark {
            id,
            first_row: 4,
            rows: 2,
            time: 1.5,
        };
        vec![
            Record::Slot {
                slot: 1,
                text: text.clone(),
            },
            Record::Note {
                slot: 2,
                text: text.clone(),
            },
            Record::Chunk(Chunk {
                slot: 3,
                width: 2,
                origin: u64::MAX,
                marks: vec![mark],
                values: vec![1.0, 0.25, 0.0, -0.5],
            }),
            Record::Label {
                id,
                row: 5,
                label: 1.0,
            },
            Record::Metric {
                id,
                row: 6,
                metric: 7,
                value: -2.5,
            },
            Record::State { text },
        ]
    }

    #[test]
    fn records_are_read_back_and_damaged_ones_are_none() {
        for record in records() {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            assert_eq!(Record::read(&bytes), Some(record.clone()));
            if !matches!(
                record,
                Record::Slot { .. } | Record::Note { .. } | Record::State { .. }
            ) {
                assert_eq!(Record::read(&bytes[..bytes.len() - 1]), None);
                bytes.push(0);
                assert_eq!(Record::read(&bytes), None);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::read(&bytes);
        }
    }
}
