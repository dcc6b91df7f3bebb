//! Predictions that await their labels: bounded in bytes, the oldest leave first.

use std::collections::{HashMap, VecDeque};

use crate::PredictionId;

/// Bytes that a chunk takes beside its rows and marks.
const CHUNK_BYTES: usize = 256;
/// Bytes of a mark, of its place in the index and of what is kept beside it.
const MARK_BYTES: usize = 128;
/// Bytes of a row beside its numbers: its label and the numbers that feedback has named.
const ROW_BYTES: usize = 12;

/// Some rows of one prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// The prediction.
    pub id: PredictionId,
    /// Which of its rows the first is: a prediction may come in pieces.
    pub first_row: u32,
    /// How many rows.
    pub rows: u32,
    /// When it was made, in seconds.
    pub time: f64,
}

/// Predictions of one model, as numbers: `width` a row, row after row in the order of the marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Which model, as the caller counts them.
    pub slot: u32,
    /// Numbers a row.
    pub width: u32,
    /// By which plan of traffic they were answered, as the caller counts; 0 where nobody asks.
    pub origin: u64,
    /// The predictions in it.
    pub marks: Vec<Mark>,
    /// The numbers.
    pub values: Vec<f64>,
}

impl Chunk {
    /// Rows of all predictions in it.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.marks.iter().map(|mark| mark.rows as usize).sum()
    }

    /// Are there as many numbers as the marks say?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rows().checked_mul(self.width as usize) == Some(self.values.len())
    }

    fn bytes(&self) -> usize {
        CHUNK_BYTES
            + MARK_BYTES * self.marks.len()
            + ROW_BYTES * self.rows()
            + size_of_val(self.values.as_slice())
    }
}

/// A chunk, and what has become of its rows.
#[derive(Debug)]
struct Held {
    chunk: Chunk,
    /// The first row of each mark among all rows.
    starts: Vec<u32>,
    /// Where rows of the same prediction were put before, for each mark.
    before: Vec<Option<Location>>,
    /// NaN where there is none yet.
    labels: Vec<f64>,
    /// One bit for each number that feedback has named.
    named: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Location {
    /// Counts all chunks that ever were.
    chunk: u64,
    mark: u32,
}

/// One row that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    chunk: u64,
    mark: u32,
    row: u32,
}

/// What a row is, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Which model.
    pub slot: u32,
    /// By which plan of traffic it was answered, as the caller counts; 0 where nobody asks.
    pub origin: u64,
    /// Its numbers.
    pub values: &'a [f64],
    /// When it was predicted.
    pub time: f64,
    /// Its label, once it has one.
    pub label: Option<f64>,
    /// One bit for each number that feedback has named.
    pub named: u32,
}

/// Predictions that await their labels.
#[derive(Debug)]
pub struct Awaiting {
    limit: usize,
    bytes: usize,
    rows: usize,
    /// The number of the oldest chunk.
    first: u64,
    chunks: VecDeque<Held>,
    index: HashMap<PredictionId, Location>,
    evicted: u64,
}

impl Awaiting {
    /// An empty store of at most so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            rows: 0,
            first: 0,
            chunks: VecDeque::new(),
            index: HashMap::new(),
            evicted: 0,
        }
    }

    /// Keeps predictions, and lets the oldest go while there is no room. One that is larger than
    /// all room leaves with those before it. Gives the number of the chunk.
    pub fn push(&mut self, chunk: Chunk) -> u64 {
        let number = self.next();
        let rows = chunk.rows();
        let (mut starts, mut before) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (place, mark) in chunk.marks.iter().enumerate() {
            starts.push(start);
            start += mark.rows;
            let location = Location {
                chunk: number,
                mark: place as u32,
            };
            before.push(self.index.insert(mark.id, location));
        }
        self.bytes += chunk.bytes();
        self.rows += rows;
        self.chunks.push_back(Held {
            chunk,
            starts,
            before,
            labels: vec![f64::NAN; rows],
            named: vec![0; rows],
        });
        while self.bytes > self.limit {
            self.evict();
        }
        number
    }

    fn evict(&mut self) {
        let Some(held) = self.chunks.pop_front() else {
            self.bytes = 0;
            return;
        };
        for mark in &held.chunk.marks {
            // A later piece of the same prediction keeps its place.
            if self
                .index
                .get(&mark.id)
                .is_some_and(|at| at.chunk == self.first)
            {
                self.index.remove(&mark.id);
            }
        }
        self.first += 1;
        self.bytes -= held.chunk.bytes().min(self.bytes);
        self.rows -= held.labels.len();
        let unlabelled = held.labels.iter().filter(|label| label.is_nan());
        self.evicted += unlabelled.count() as u64;
    }

    fn held(&self, chunk: u64) -> Option<&Held> {
        let at = usize::try_from(chunk.checked_sub(self.first)?).ok()?;
        self.chunks.get(at)
    }

    /// The place of a row; `None` when it is not here. Without a row it is the only one of its
    /// prediction.
    #[must_use]
    pub fn find(&self, id: PredictionId, row: Option<u32>) -> Option<Place> {
        let mut at = *self.index.get(&id)?;
        loop {
            let held = self.held(at.chunk)?;
            let mark = held.chunk.marks.get(at.mark as usize)?;
            let before = *held.before.get(at.mark as usize)?;
            let within = match row {
                Some(row) => row.checked_sub(mark.first_row),
                None if mark.first_row == 0 && mark.rows == 1 && before.is_none() => Some(0),
                None => return None,
            };
            match within {
                Some(row) if row < mark.rows => {
                    return Some(Place {
                        chunk: at.chunk,
                        mark: at.mark,
                        row: held.starts.get(at.mark as usize)? + row,
                    });
                }
                _ => at = before?,
            }
        }
    }

    /// What is known of a row; `None` once it has left.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<Row<'_>> {
        let held = self.held(place.chunk)?;
        let width = held.chunk.width as usize;
        let at = place.row as usize;
        let label = *held.labels.get(at)?;
        Some(Row {
            slot: held.chunk.slot,
            origin: held.chunk.origin,
            values: held.chunk.values.get(at * width..(at + 1) * width)?,
            time: held.chunk.marks.get(place.mark as usize)?.time,
            label: (!label.is_nan()).then_some(label),
            named: *held.named.get(at)?,
        })
    }

    fn held_mut(&mut self, chunk: u64) -> Option<&mut Held> {
        let at = usize::try_from(chunk.checked_sub(self.first)?).ok()?;
        self.chunks.get_mut(at)
    }

    /// Keeps the label of a row.
    pub fn label(&mut self, place: Place, label: f64) {
        let held = self.held_mut(place.chunk);
        if let Some(own) = held.and_then(|held| held.labels.get_mut(place.row as usize)) {
            *own = label;
        }
    }

    /// Keeps that feedback has named this number of a row.
    pub fn name(&mut self, place: Place, metric: u32) {
        let held = self.held_mut(place.chunk);
        if let Some(own) = held.and_then(|held| held.named.get_mut(place.row as usize)) {
            *own |= 1_u32.checked_shl(metric).unwrap_or(0);
        }
    }

    /// The number of the oldest chunk that is still here, or of the next one.
    #[must_use]
    pub const fn oldest(&self) -> u64 {
        self.first
    }

    /// The number that the next chunk gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    /// Rows that are here, with a label or without.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that they take, at most the limit.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that left without a label.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(counts: &[u64], rows: u32, first_row: u32) -> Chunk {
        let mark = |&count| Mark {
            id: PredictionId { prefix: 7, count },
            first_row,
            rows,
            time: count as f64,
        };
        let marks: Vec<Mark> = counts.iter().map(mark).collect();
        let values = counts.iter().flat_map(|&count| {
            (0..rows).flat_map(move |row| [count as f64, f64::from(first_row + row)])
        });
        Chunk {
            slot: 3,
            width: 2,
            origin: 5,
            values: values.collect(),
            marks,
        }
    }

    fn id(count: u64) -> PredictionId {
        PredictionId { prefix: 7, count }
    }

    #[test]
    fn rows_are_found_by_name() {
        let mut store = Awaiting::new(1 << 20);
        store.push(chunk(&[1, 2, 3], 2, 0));
        store.push(chunk(&[4], 1, 0));
        let place = store.find(id(2), Some(1)).unwrap();
        let row = store.get(place).unwrap();
        assert_eq!((row.slot, row.values, row.time), (3, &[2.0, 1.0][..], 2.0));
        assert_eq!((row.label, row.named, row.origin), (None, 0, 5));
        store.label(place, 1.0);
        store.name(place, 5);
        let row = store.get(place).unwrap();
        assert_eq!((row.label, row.named), (Some(1.0), 32));
        // Without a row only where there is one.
        assert_eq!(store.find(id(2), None), None);
        assert!(store.find(id(4), None).is_some());
        assert_eq!(store.find(id(2), Some(2)), None);
        assert_eq!(store.find(id(9), Some(0)), None);
        assert_eq!(store.rows(), 7);
    }

    #[test]
    fn pieces_of_one_prediction_are_all_found() {
        let mut store = Awaiting::new(1 << 20);
        store.push(chunk(&[1], 3, 0));
        store.push(chunk(&[1], 3, 3));
        store.push(chunk(&[1], 1, 6));
        for row in 0..7 {
            let place = store.find(id(1), Some(row)).unwrap();
            assert_eq!(store.get(place).unwrap().values, [1.0, f64::from(row)]);
        }
        assert_eq!(store.find(id(1), Some(7)), None);
        assert_eq!(store.find(id(1), None), None);
    }

    #[test]
    fn the_oldest_leave_and_no_more_is_held_than_the_limit() {
        let limit = 10_000;
        let mut store = Awaiting::new(limit);
        for count in 0..1_000 {
            store.push(chunk(&[count], 1, 0));
            assert!(store.bytes() <= limit);
        }
        let kept = store.rows() as u64;
        assert!(kept > 10 && store.evicted() == 1_000 - kept);
        assert!(store.find(id(999 - kept), Some(0)).is_none());
        assert!(store.find(id(1_000 - kept), Some(0)).is_some());
        assert_eq!(store.index.len() as u64, kept);
        // What is labelled is not lost when it leaves.
        let place = store.find(id(999), Some(0)).unwrap();
        store.label(place, 0.0);
        let before = store.evicted();
        store.push(chunk(&[2_000], 10_000, 0));
        assert_eq!(store.evicted(), before + kept - 1 + 10_000);
        assert_eq!((store.rows(), store.bytes()), (0, 0));
        assert_eq!(store.get(place), None);
    }
}
