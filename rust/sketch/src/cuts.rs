//! Sorted edges that cut the line into cells, and the kernel that counts values into them.

use crate::{Error, MAX_EDGES, Result};

/// Values looked at together: eight comparisons fill the vector registers of every processor.
const LANES: usize = 8;

/// Edges that cut the line into cells.
///
/// For edges `e0 ≤ … ≤ em` the cells are: `0` below `e0`; `i` from `e(i−1)` up to, not including,
/// `e(i)`; the last of these includes `em` (as in `numpy.histogram`); then one cell above `em`,
/// and one for the missing. Edges rise strictly, but for the last two, which may be equal: then
/// the last bin holds one value only. −∞ is below and +∞ above; NaN is missing. Without edges
/// every value is in cell `0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cuts {
    edges: Vec<f64>,
    /// A value's cell is the number of thresholds not above it.
    thresholds: Vec<f64>,
}

impl Cuts {
    /// Cuts at these edges: finite, rising, none or at least two, at most [`MAX_EDGES`].
    pub fn new(edges: Vec<f64>) -> Result<Self> {
        if edges.len() > MAX_EDGES {
            return Err(Error::limit(format!(
                "{} edges exceed the limit of {MAX_EDGES}: use fewer bins",
                edges.len()
            )));
        }
        if edges.len() == 1 {
            return Err(Error::argument(
                "one edge makes no bin: give at least two edges",
            ));
        }
        if let Some(edge) = edges.iter().find(|edge| !edge.is_finite()) {
            return Err(Error::argument(format!(
                "edge {edge} is not finite: values outside the edges are counted anyway"
            )));
        }
        for (i, pair) in edges.windows(2).enumerate() {
            let last = i + 2 == edges.len();
            if pair[0] > pair[1] || (pair[0] == pair[1] && !last) {
                return Err(Error::argument(format!(
                    "edge {} follows {}: edges must rise (only the last two may be equal)",
                    pair[1], pair[0]
                )));
            }
        }
        let mut thresholds = edges.clone();
        if let Some(last) = thresholds.last_mut() {
            *last = last.next_up();
        }
        Ok(Self { edges, thresholds })
    }

    /// The edges.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// How many cells there are: below, the bins, above, missing; two without edges.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.edges.len() + 2
    }

    /// The cell of a value.
    #[inline]
    #[must_use]
    pub fn cell(&self, value: f64) -> usize {
        let below: usize = self
            .thresholds
            .iter()
            .map(|&threshold| usize::from(value >= threshold))
            .sum();
        // NaN is not above any threshold, so this moves it from the first cell to the last.
        below + usize::from(value.is_nan()) * (self.thresholds.len() + 1)
    }

    /// Adds one to the cell of each value; `counts` has a place for every cell.
    pub fn count(&self, values: &[f64], counts: &mut [u64]) {
        debug_assert_eq!(counts.len(), self.cells());
        let missing = self.thresholds.len() as i64 + 1;
        let (blocks, rest) = values.as_chunks::<LANES>();
        for block in blocks {
            let mut cells = [0i64; LANES];
            for &threshold in &self.thresholds {
                for (cell, &value) in cells.iter_mut().zip(block) {
                    *cell += i64::from(value >= threshold);
                }
            }
            for (cell, &value) in cells.iter_mut().zip(block) {
                *cell += i64::from(value.is_nan()) * missing;
            }
            for cell in cells {
                if let Some(count) = counts.get_mut(cell as usize) {
                    *count += 1;
                }
            }
        }
        for &value in rest {
            if let Some(count) = counts.get_mut(self.cell(value)) {
                *count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_numpy_histogram() {
        let cuts = Cuts::new(vec![0.0, 1.0, 2.0]).unwrap();
        let cells = [
            (f64::NEG_INFINITY, 0),
            (-0.1, 0),
            (0.0, 1),
            (0.9, 1),
            (1.0, 2),
            (2.0, 2),
            (2.0000001, 3),
            (f64::INFINITY, 3),
            (f64::NAN, 4),
        ];
        for (value, cell) in cells {
            assert_eq!(cuts.cell(value), cell, "{value}");
        }
        assert_eq!(cuts.cells(), 5);
    }

    #[test]
    fn a_closed_last_bin_may_hold_one_value() {
        let cuts = Cuts::new(vec![0.0, 1.0, 1.0]).unwrap();
        let cells: Vec<_> = [0.0, 0.5, 1.0, 1.1].map(|x| cuts.cell(x)).into();
        assert_eq!(cells, [1, 1, 2, 3]);
        let constant = Cuts::new(vec![3.0, 3.0]).unwrap();
        assert_eq!([2.9, 3.0, 3.1].map(|x| constant.cell(x)), [0, 1, 2]);
    }

    #[test]
    fn slices_count_as_single_values_do() {
        let cuts = Cuts::new(vec![-3.0, 0.0, 0.5, 7.0, 7.0]).unwrap();
        let values: Vec<f64> = (0..1003)
            .map(|i| match i % 11 {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => 7.0,
                _ => f64::from(i % 37) * 0.4 - 5.0,
            })
            .collect();
        for length in 0..40 {
            for part in [&values[..length], &values[length..]] {
                let mut counts = vec![0; cuts.cells()];
                cuts.count(part, &mut counts);
                let mut due = vec![0; cuts.cells()];
                part.iter().for_each(|&value| due[cuts.cell(value)] += 1);
                assert_eq!(counts, due);
            }
        }
    }

    #[test]
    fn without_edges_all_is_below_or_missing() {
        let cuts = Cuts::new(vec![]).unwrap();
        assert_eq!([1.0, f64::NAN].map(|x| cuts.cell(x)), [0, 1]);
        assert_eq!(cuts.cells(), 2);
    }

    #[test]
    fn bad_edges_are_refused() {
        for edges in [
            vec![1.0],
            vec![1.0, 0.0],
            vec![0.0, 0.0, 1.0],
            vec![0.0, f64::NAN],
            vec![0.0, f64::INFINITY],
            vec![0.0; MAX_EDGES + 1],
        ] {
            assert!(Cuts::new(edges).is_err());
        }
    }
}
