//! The live counts of one span of observations.

use tidegate_schema::{Error, Result, Table};
use tidegate_sketch::Moments;

use crate::blocks::blocks;
use crate::{Baseline, Part, Reference, Segments};

/// Live counts of one column, in the cells of its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// One count a cell.
    pub counts: Vec<u64>,
    /// Mean, variance and range of a numeric column.
    pub moments: Option<Moments>,
}

/// Live counts of all watched columns over a span of observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// When it began, in seconds of the caller's clock.
    pub start: f64,
    /// When it was closed; when it last grew while it is open.
    pub end: f64,
    /// Observed rows.
    pub rows: u64,
    /// A name given when it was closed.
    pub label: Option<String>,
    /// In the order of the baseline's columns.
    pub columns: Vec<Live>,
    /// The same rows by segment, where segments are told apart.
    pub segments: Vec<Part>,
}

impl Live {
    /// No row.
    #[must_use]
    pub fn new(reference: &Reference) -> Self {
        Self {
            counts: vec![0; reference.cells()],
            moments: matches!(reference, Reference::Numeric(_)).then(Moments::new),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        if let (Some(moments), Some(more)) = (&mut self.moments, &other.moments) {
            moments.merge(more);
        }
    }
}

impl Window {
    /// An empty window over a baseline's cells.
    #[must_use]
    pub fn new(baseline: &Baseline, start: f64) -> Self {
        let Part { rows, columns } = Part::new(baseline);
        Self {
            start,
            end: start,
            rows,
            label: None,
            columns,
            segments: Vec::new(),
        }
    }

    /// An empty window that tells segments apart.
    #[must_use]
    pub fn segmented(baseline: &Baseline, start: f64, segments: Option<&Segments>) -> Self {
        let names = segments.map_or(&[][..], Segments::names);
        Self {
            segments: names.iter().map(|_| Part::new(baseline)).collect(),
            ..Self::new(baseline, start)
        }
    }

    /// The rows of one segment as a window of their own.
    #[must_use]
    pub fn of_segment(&self, place: usize) -> Option<Self> {
        let part = self.segments.get(place)?;
        Some(Self {
            start: self.start,
            end: self.end,
            rows: part.rows,
            label: self.label.clone(),
            columns: part.columns.clone(),
            segments: Vec::new(),
        })
    }

    /// Counts the rows of a table that has the baseline's columns, in its order.
    ///
    /// # Errors
    /// `InvalidInput` when number or types of the columns do not fit; nothing is counted then.
    pub fn observe(&mut self, baseline: &Baseline, table: &Table<'_>) -> Result<()> {
        baseline.check(table)?;
        self.count(baseline, table, None);
        Ok(())
    }

    /// Counts the rows of a table whose columns were checked against the baseline.
    pub(crate) fn count(
        &mut self,
        baseline: &Baseline,
        table: &Table<'_>,
        segments: Option<&Segments>,
    ) {
        if let Some(segments) = segments {
            segments.count(baseline, table, &mut self.segments);
        }
        let pairs = table.columns().iter().zip(baseline.columns());
        for ((column, watched), live) in pairs.zip(&mut self.columns) {
            match &watched.reference {
                Reference::Categorical(categorical) => {
                    categorical.count(column, &mut live.counts);
                }
                Reference::Numeric(numeric) => {
                    let cuts = numeric.histogram.cuts();
                    let Live { counts, moments } = live;
                    blocks(column, |values| {
                        cuts.count(values, counts);
                        if let Some(moments) = moments {
                            moments.update_many(values);
                        }
                    });
                }
            }
        }
        self.rows += table.rows() as u64;
    }

    /// Adds the counts of another window over the same baseline: of another worker, or of the
    /// next span. The span grows to hold both, and the label stays. Exact in any order (moments:
    /// within 1e-12).
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let alike = self.columns.len() == other.columns.len()
            && self
                .columns
                .iter()
                .zip(&other.columns)
                .all(|(a, b)| a.counts.len() == b.counts.len());
        if !alike {
            return Err(Error::invalid(
                "windows over different baselines cannot be merged: compare them one by one",
            ));
        }
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.merge(theirs);
        }
        if self.segments.len() == other.segments.len() {
            for (mine, theirs) in self.segments.iter_mut().zip(&other.segments) {
                mine.merge(theirs);
            }
        } else {
            // One of them does not tell segments apart: together they cannot.
            self.segments.clear();
        }
        self.rows += other.rows;
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        Ok(())
    }
}
