//! Counts between fixed edges.

use serde::{Deserialize, Serialize};

use crate::{Cuts, Error, Result, document};

/// Most edges a histogram may have. Counting compares with every edge, so this bounds time too.
pub const MAX_EDGES: usize = 257;

/// Counts of values between fixed edges, and of those below, above and missing.
///
/// Bins are closed on the left and open on the right; the last is closed on both sides, as in
/// `numpy.histogram`. −∞ counts as below, +∞ as above, NaN as missing. Merging adds counts, so it
/// is exact in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Histogram {
    cuts: Cuts,
    /// Below, the bins, above, missing.
    cells: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    cells: Vec<u64>,
    edges: Vec<f64>,
    version: u32,
}

impl Histogram {
    /// An empty histogram. Edges are finite and rise strictly, but for the last two, which may be
    /// equal; there are none or at least two. Without edges every value counts as below.
    pub fn new(edges: Vec<f64>) -> Result<Self> {
        let cuts = Cuts::new(edges)?;
        let cells = vec![0; cuts.cells()];
        Ok(Self { cuts, cells })
    }

    /// Counts one value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if let Some(count) = self.cells.get_mut(self.cuts.cell(value)) {
            *count += 1;
        }
    }

    /// Counts many values.
    pub fn update_many(&mut self, values: &[f64]) {
        self.cuts.count(values, &mut self.cells);
    }

    /// Counts a value `weight` times.
    pub fn update_weighted(&mut self, value: f64, weight: u64) {
        if let Some(count) = self.cells.get_mut(self.cuts.cell(value)) {
            *count += weight;
        }
    }

    /// Adds the counts of another with the same edges.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.cuts != other.cuts {
            return Err(Error::argument(
                "histograms with different edges cannot be merged: build both with the same edges",
            ));
        }
        for (count, more) in self.cells.iter_mut().zip(&other.cells) {
            *count += more;
        }
        Ok(())
    }

    /// The edges.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        self.cuts.edges()
    }

    /// The edges as cells, for whoever keeps counts of their own.
    #[must_use]
    pub const fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// The counts of the bins; one fewer than edges.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        let end = self.cells.len().saturating_sub(2);
        self.cells.get(1..end).unwrap_or_default()
    }

    /// Every cell: below, the bins, above, missing; without edges below and missing.
    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Values below the first edge.
    #[must_use]
    pub fn below(&self) -> u64 {
        self.cells.first().copied().unwrap_or(0)
    }

    /// Values above the last edge.
    #[must_use]
    pub fn above(&self) -> u64 {
        match self.cells.as_slice() {
            [_, .., above, _] => *above,
            _ => 0,
        }
    }

    /// Missing values.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.cells.last().copied().unwrap_or(0)
    }

    /// All values, the missing among them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::write(self)
    }

    /// Reads what [`Histogram::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        document::read("a histogram", text)
    }
}

impl From<Histogram> for Document {
    fn from(histogram: Histogram) -> Self {
        Self {
            edges: histogram.cuts.edges().to_vec(),
            cells: histogram.cells,
            version: document::VERSION,
        }
    }
}

impl TryFrom<Document> for Histogram {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        document::check_version("a histogram", document.version)?;
        let mut histogram = Self::new(document.edges)?;
        if document.cells.len() != histogram.cells.len() {
            return Err(Error::state(format!(
                "a histogram with {} edges needs {} cells but has {}",
                histogram.edges().len(),
                histogram.cells.len(),
                document.cells.len()
            )));
        }
        let total = document
            .cells
            .iter()
            .try_fold(0u64, |sum, &n| sum.checked_add(n));
        if total.is_none() {
            return Err(Error::state("a histogram whose counts overflow 64 bits"));
        }
        histogram.cells = document.cells;
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merged_pieces_equal_the_whole(values in prop::collection::vec(-5.0..15.0f64, 0..300), cut in 0.0..1.0f64) {
            let cut = (values.len() as f64 * cut) as usize;
            let edges = vec![0.0, 0.5, 4.0, 10.0];
            let mut whole = Histogram::new(edges.clone()).unwrap();
            whole.update_many(&values);
            let mut left = Histogram::new(edges.clone()).unwrap();
            left.update_many(&values[..cut]);
            let mut right = Histogram::new(edges).unwrap();
            values[cut..].iter().for_each(|&x| right.update(x));
            right.merge(&left).unwrap();
            prop_assert_eq!(&right, &whole);
            prop_assert_eq!(&Histogram::from_json(&whole.to_json()).unwrap(), &whole);
            prop_assert_eq!(whole.total(), values.len() as u64);
        }
    }

    #[test]
    fn cells_have_names() {
        let mut histogram = Histogram::new(vec![0.0, 1.0, 2.0]).unwrap();
        histogram.update_many(&[-1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 4.0, f64::NAN]);
        assert_eq!(histogram.counts(), [1, 3]);
        assert_eq!(
            (histogram.below(), histogram.above(), histogram.missing()),
            (1, 2, 1)
        );
        let mut bare = Histogram::new(vec![]).unwrap();
        bare.update_many(&[1.0, f64::NAN]);
        assert_eq!((bare.below(), bare.above(), bare.missing()), (1, 0, 1));
        assert!(bare.counts().is_empty());
        assert!(bare.merge(&histogram).is_err());
    }

    #[test]
    fn edited_state_is_refused() {
        for text in [
            r#"{"cells":[1,2],"edges":[0.0,1.0],"version":1}"#,
            r#"{"cells":[18446744073709551615,1,0,0],"edges":[0.0,1.0],"version":1}"#,
            r#"{"cells":[0,0,0,0],"edges":[1.0,0.0],"version":1}"#,
            r#"{"cells":[0,0,0,0],"edges":[0.0,1.0],"version":2}"#,
            r#"{"cells":[0,0,0,0],"edges":[0.0,1.0],"version":1,"more":1}"#,
            "",
        ] {
            assert!(Histogram::from_json(text).is_err(), "{text}");
        }
    }
}
