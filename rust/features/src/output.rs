//! What a run writes: a row-major matrix of 32 or 64 bits, or the values of it that are not zero.

use tidegate_schema::{Error, ErrorKind, Result};

use crate::value::finite;
use crate::wide;

/// A value of a matrix: `f32`, which models take, or `f64`.
pub trait Cell: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// A number as it leaves: what the type cannot hold is missing, never infinite.
    #[doc(hidden)]
    fn narrow(value: f64) -> Self;
    #[doc(hidden)]
    fn out(cells: &mut [Self]) -> Out<'_>;
}

mod sealed {
    /// Only this crate says what a matrix is made of.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Cell for f32 {
    #[inline]
    fn narrow(value: f64) -> Self {
        let narrow = value as Self;
        if narrow.is_infinite() {
            Self::NAN
        } else {
            narrow
        }
    }

    fn out(cells: &mut [Self]) -> Out<'_> {
        Out::Single(cells)
    }
}

impl Cell for f64 {
    #[inline]
    fn narrow(value: f64) -> Self {
        finite(value)
    }

    fn out(cells: &mut [Self]) -> Out<'_> {
        Out::Double(cells)
    }
}

/// The matrix in compressed sparse rows, as SciPy's `csr_array` holds it. Zeros are left out;
/// missing values are NaN and are not.
#[derive(Clone, Debug, Default)]
pub struct Sparse<T> {
    /// Where each row begins among the values; one more than there are rows.
    pub starts: Vec<i32>,
    /// The column of each value, rising within a row.
    pub columns: Vec<i32>,
    /// The values.
    pub values: Vec<T>,
}

impl<T: Cell> Sparse<T> {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Appends the rows of another. Fails where there are more than 2^31 values.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        let before = self.values.len();
        self.starts.reserve(other.starts.len());
        for &start in other.starts.iter().skip(1) {
            self.starts.push(place(before + start as usize)?);
        }
        self.columns.extend_from_slice(&other.columns);
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// Opens rows with so many values each, and returns where each begins.
    pub(crate) fn open(&mut self, counts: &[u32]) -> Result<Vec<usize>> {
        let mut end = self.values.len();
        let mut places = Vec::with_capacity(counts.len());
        for &count in counts {
            places.push(end);
            end += count as usize;
            self.starts.push(place(end)?);
        }
        self.columns.resize(end, 0);
        self.values.resize(end, T::default());
        Ok(places)
    }

    /// Puts a value where the next one of its row stands.
    #[inline]
    pub(crate) fn put(&mut self, place: &mut usize, column: usize, value: f64) {
        self.columns[*place] = column as i32;
        self.values[*place] = T::narrow(value);
        *place += 1;
    }
}

/// A place among the values, as SciPy holds it.
fn place(at: usize) -> Result<i32> {
    i32::try_from(at).map_err(|_| {
        Error::new(
            ErrorKind::TooLarge,
            "a sparse matrix of more than 2^31 values: transform fewer rows at once",
        )
    })
}

/// One value of a sparse part: its row in the morsel, its column in the part.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub(crate) row: u32,
    pub(crate) column: u32,
    pub(crate) value: f64,
}

/// Where one morsel is written.
#[doc(hidden)]
pub enum Out<'a> {
    /// Nowhere: a run that only learns.
    Nothing,
    /// A matrix of 32 bits.
    Single(&'a mut [f32]),
    /// A matrix of 64 bits.
    Double(&'a mut [f64]),
    /// One list for each expression of several columns.
    Entries(&'a mut [Vec<Entry>]),
}

/// The part of the output that an expression of several columns writes, all zero before.
pub(crate) struct Columns<'a> {
    cells: Cells<'a>,
    width: usize,
    first: usize,
    count: usize,
}

enum Cells<'a> {
    Nothing,
    Single(&'a mut [f32]),
    Double(&'a mut [f64]),
    Entries(&'a mut Vec<Entry>),
}

impl<'a> Columns<'a> {
    /// Columns `first .. first + count` of an output with `width` columns, the `part`-th of those
    /// that are written by an expression of several columns.
    pub(crate) fn new(
        out: &'a mut Out<'_>,
        part: usize,
        width: usize,
        first: usize,
        count: usize,
    ) -> Self {
        let cells = match out {
            Out::Nothing => Cells::Nothing,
            Out::Single(cells) => Cells::Single(cells),
            Out::Double(cells) => Cells::Double(cells),
            Out::Entries(parts) => parts.get_mut(part).map_or(Cells::Nothing, |part| {
                part.clear();
                Cells::Entries(part)
            }),
        };
        Self {
            cells,
            width,
            first,
            count,
        }
    }

    /// Writes a one into each row, into the column that `places` says for the rows from one on; what
    /// lies beyond the last column is left out. Which kind of output it is, is looked at once and
    /// not once a value.
    pub(crate) fn mark(mut self, rows: usize, places: impl Fn(usize, &mut [u32])) {
        let (width, first, count) = (self.width, self.first, self.count);
        let mut columns = [0; MARKED];
        for start in (0..rows).step_by(MARKED) {
            let columns = &mut columns[..MARKED.min(rows - start)];
            places(start, columns);
            let begin = start * width + first;
            match &mut self.cells {
                Cells::Single(cells) => mark(cells, columns, (width, begin, count)),
                Cells::Double(cells) => mark(cells, columns, (width, begin, count)),
                Cells::Entries(_) | Cells::Nothing => {
                    for (row, &column) in columns.iter().enumerate() {
                        self.set(start + row, column as usize, 1.0);
                    }
                }
            }
        }
    }

    /// Writes all values of so many rows: `value` is asked for each by its row and column.
    #[inline]
    pub(crate) fn fill(&mut self, rows: usize, value: impl Fn(usize, usize) -> f64) {
        let part = self.first..self.first + self.count;
        match &mut self.cells {
            Cells::Single(cells) => fill(cells, self.width, part, rows, value),
            Cells::Double(cells) => fill(cells, self.width, part, rows, value),
            Cells::Entries(_) => {
                for row in 0..rows {
                    (0..self.count).for_each(|column| self.set(row, column, value(row, column)));
                }
            }
            Cells::Nothing => {}
        }
    }

    /// Writes one value. Rows come in order, and within a row columns do; what lies beyond the last
    /// column is left out.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, column: usize, value: f64) {
        if column >= self.count {
            return;
        }
        let place = row * self.width + self.first + column;
        match &mut self.cells {
            Cells::Single(cells) => {
                if let Some(cell) = cells.get_mut(place) {
                    *cell = Cell::narrow(value);
                }
            }
            Cells::Double(cells) => {
                if let Some(cell) = cells.get_mut(place) {
                    *cell = Cell::narrow(value);
                }
            }
            Cells::Entries(_) if value == 0.0 => {}
            Cells::Entries(entries) => entries.push(Entry {
                row: row as u32,
                column: column as u32,
                value,
            }),
            Cells::Nothing => {}
        }
    }
}

/// Rows whose places are looked up together.
const MARKED: usize = 64;

/// [`Columns::mark`] in a matrix of this width, whose first cell of so many is that of the first row.
#[inline]
fn mark<T: Cell>(cells: &mut [T], columns: &[u32], (width, begin, count): (usize, usize, usize)) {
    let one = T::narrow(1.0);
    let mut row = begin;
    for &column in columns {
        if (column as usize) < count
            && let Some(cell) = cells.get_mut(row + column as usize)
        {
            *cell = one;
        }
        row += width;
    }
}

/// Writes one column of a row-major matrix.
pub(crate) fn write_column<T: Cell>(cells: &mut [T], width: usize, column: usize, values: &[f64]) {
    let rows = cells.chunks_exact_mut(width.max(1));
    for (row, &value) in rows.zip(values) {
        if let Some(cell) = row.get_mut(column) {
            *cell = T::narrow(value);
        }
    }
}

/// Writes four columns of a row-major matrix that stand beside each other.
pub(crate) fn write_four<T: Cell>(
    cells: &mut [T],
    width: usize,
    first: usize,
    [a, b, c, d]: [&[f64]; 4],
) {
    wide::run(a.len(), || {
        let rows = cells.chunks_exact_mut(width.max(1));
        for ((((row, &a), &b), &c), &d) in rows.zip(a).zip(b).zip(c).zip(d) {
            if let Some(cells) = row.get_mut(first..first + 4) {
                let four = [a, b, c, d].map(T::narrow);
                cells.copy_from_slice(&four);
            }
        }
    });
}

/// Writes some columns of a row-major matrix.
#[inline]
fn fill<T: Cell>(
    cells: &mut [T],
    width: usize,
    part: std::ops::Range<usize>,
    rows: usize,
    value: impl Fn(usize, usize) -> f64,
) {
    // A matrix without columns has no rows to write.
    let all = cells.chunks_exact_mut(width.max(1));
    for (row, cells) in all.take(rows).enumerate() {
        let cells = cells.get_mut(part.clone()).unwrap_or_default();
        for (column, cell) in cells.iter_mut().enumerate() {
            *cell = T::narrow(value(row, column));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_infinite_leaves() {
        let single = <f32 as Cell>::narrow;
        assert!(single(1e39).is_nan());
        assert!(single(f64::NEG_INFINITY).is_nan());
        assert_eq!(single(1.5), 1.5);
        assert_eq!(<f64 as Cell>::narrow(1e39), 1e39);
        assert!(<f64 as Cell>::narrow(f64::INFINITY).is_nan());
    }
}
