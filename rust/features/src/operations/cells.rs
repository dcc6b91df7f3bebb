//! A target along a column of numbers: for each value, or from a bound on for each narrow range of
//! values, how many rows had it and what their target adds up to. What a tree is grown from.

use super::split::Target;

/// Beyond, neighbours are joined until about so many are left.
const COARSE_CELLS: usize = 65_536;
/// Rows that wait to be put into cells together.
const WAITING: usize = 65_536;

/// A range of values.
#[derive(Clone, Debug)]
pub(super) struct Cell<T> {
    pub low: f64,
    pub high: f64,
    pub stat: T,
}

/// Cells in order of their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells<T> {
    cells: Vec<Cell<T>>,
    waiting: Vec<(f64, f64)>,
}

/// Joins cells of one value that stand beside each other.
fn join<T: Target>(cells: Vec<Cell<T>>) -> Vec<Cell<T>> {
    let mut joined: Vec<Cell<T>> = Vec::with_capacity(cells.len());
    for cell in cells {
        match joined.last_mut() {
            // Ranges of merged pieces may overlap: they become one.
            Some(last) if cell.low <= last.high => {
                last.high = last.high.max(cell.high);
                last.stat.merge(&cell.stat);
            }
            _ => joined.push(cell),
        }
    }
    joined
}

impl<T: Target> Cells<T> {
    /// Takes in a row, neither of whose values is missing.
    pub(super) fn update(&mut self, value: f64, target: f64) {
        // A negative zero is a zero, and would stand beside it.
        self.waiting.push((value + 0.0, target));
        if self.waiting.len() >= WAITING {
            self.settle();
        }
    }

    /// Puts the rows that wait into cells.
    fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut rows = std::mem::take(&mut self.waiting);
        rows.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let mut cells = std::mem::take(&mut self.cells);
        for same in rows.chunk_by(|left, right| left.0 == right.0) {
            let mut stat = T::default();
            same.iter().for_each(|(_, target)| stat.add(*target));
            let value = same.first().map_or(0.0, |row| row.0);
            cells.push(Cell {
                low: value,
                high: value,
                stat,
            });
        }
        rows.clear();
        self.waiting = rows;
        self.order(cells);
    }

    fn order(&mut self, mut cells: Vec<Cell<T>>) {
        // Two runs, each in order, which a stable sort merges.
        cells.sort_by(|left, right| left.low.total_cmp(&right.low));
        self.cells = join(cells);
        if self.cells.len() > T::EXACT {
            self.coarsen();
        }
    }

    /// Joins neighbours until a cell holds about its share of the rows.
    fn coarsen(&mut self) {
        let total: u64 = self.cells.iter().map(|cell| cell.stat.count()).sum();
        let share = total / COARSE_CELLS as u64;
        let mut coarse: Vec<Cell<T>> = Vec::with_capacity(COARSE_CELLS * 2);
        for cell in self.cells.drain(..) {
            match coarse.last_mut() {
                Some(last) if last.stat.count() + cell.stat.count() <= share.max(1) => {
                    last.high = cell.high;
                    last.stat.merge(&cell.stat);
                }
                _ => coarse.push(cell),
            }
        }
        self.cells = coarse;
    }

    /// Takes in what another has seen.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.settle();
        other.settle();
        let mut cells = std::mem::take(&mut self.cells);
        cells.append(&mut other.cells);
        self.order(cells);
    }

    /// Changes what each cell has seen of the target.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut T)) {
        self.settle();
        self.cells
            .iter_mut()
            .for_each(|cell| change(&mut cell.stat));
    }

    /// The cells in order.
    pub(super) fn finish(mut self) -> Vec<Cell<T>> {
        self.settle();
        self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::Stat;
    use super::*;

    const EXACT_CELLS: usize = <Stat as Target>::EXACT;

    #[test]
    fn beyond_the_bound_cells_are_narrow_and_lose_no_row() {
        let mut cells = Cells::<Stat>::default();
        let rows = EXACT_CELLS as u32 * 3 / 2;
        for row in 0..rows {
            // Every value once, far from their order.
            let value = f64::from(row.wrapping_mul(2_654_435_761) % (1 << 31));
            cells.update(value, f64::from(row % 2));
        }
        let cells = cells.finish();
        assert!(cells.len() <= EXACT_CELLS);
        let count: u64 = cells.iter().map(|cell| cell.stat.count).sum();
        assert_eq!(count, u64::from(rows));
        let sum: f64 = cells.iter().map(|cell| cell.stat.sum()).sum();
        assert_eq!(sum, f64::from(rows / 2));
        let largest = cells.iter().map(|cell| cell.stat.count).max();
        assert!(largest.is_some_and(|largest| largest <= count / 32_768));
        assert!(cells.windows(2).all(|pair| pair[0].high < pair[1].low));
    }
}
