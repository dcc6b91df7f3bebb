//! Drift by the value of one column: the rows of each segment counted apart, bounded in number.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Column, DType, Error, Result, Table};

use crate::blocks::blocks;
use crate::{Baseline, Live, Reference, Role, Window};

/// Most values that are told apart, the most frequent of the baseline first; the rest is one segment.
pub const MAX_SEGMENTS: usize = 16;
/// What the segment of all other values is called.
pub const OTHER_SEGMENT: &str = "(other)";
/// What the segment of rows without a value is called.
pub const NO_SEGMENT: &str = "(missing)";

/// The segments of a baseline: the values of one of its features, by the cells that it falls into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The place of the column among those of the baseline.
    place: usize,
    column: String,
    /// The values, then other and missing.
    names: Vec<String>,
    /// The segment of each cell of the column.
    of_cell: Vec<u8>,
}

/// The rows of one segment in one window, or in the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// How many there are.
    pub rows: u64,
    /// In the order of the baseline's columns.
    pub columns: Vec<Live>,
}

/// What a baseline knows of its rows by segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentedBaseline {
    /// Which segments.
    pub segments: Segments,
    /// The rows of each, in its order.
    pub parts: Vec<Part>,
}

impl Part {
    /// No row of a baseline's columns.
    #[must_use]
    pub fn new(baseline: &Baseline) -> Self {
        let columns = baseline.columns().iter();
        Self {
            rows: 0,
            columns: columns.map(|c| Live::new(&c.reference)).collect(),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.merge(theirs);
        }
        self.rows += other.rows;
    }
}

impl Segments {
    /// The segments by a feature of a baseline: texts, bools and whole numbers.
    ///
    /// # Errors
    /// `InvalidInput` for a column that is not watched, or of another type.
    pub fn new(baseline: &Baseline, column: &str) -> Result<Self> {
        let features = || {
            let all = baseline.columns().iter().enumerate();
            all.filter(|(_, watched)| watched.role == Role::Feature)
        };
        let Some((place, watched)) = features().find(|(_, watched)| watched.name == column) else {
            let names: Vec<&str> = features().map(|(_, c)| c.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "segments by column {column:?}, which is not watched: name one of {}",
                names.join(", ")
            )));
        };
        let (names, of_cell) = match &watched.reference {
            Reference::Categorical(categorical) => {
                let values: Vec<String> = categorical.values().map(|(v, _)| v.to_owned()).collect();
                let cells = categorical.cells();
                by_rank(values, &[], cells)
            }
            Reference::Numeric(numeric) if watched.dtype == DType::Int64 => {
                let counts = numeric.histogram().cells();
                let edges = numeric.histogram().edges();
                let values = (1..edges.len()).map(|bin| whole(edges, bin)).collect();
                by_rank(values, counts, counts.len())
            }
            Reference::Numeric(_) => {
                return Err(Error::invalid(format!(
                    "segments by column {column:?}, which is {}: name one of texts, whole numbers or bools",
                    watched.dtype
                )));
            }
        };
        Ok(Self {
            place,
            column: column.to_owned(),
            names,
            of_cell,
        })
    }

    /// The column.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The values, then [`OTHER_SEGMENT`] and [`NO_SEGMENT`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a value among the names.
    ///
    /// # Errors
    /// `NotFound` for one that is not told apart.
    pub fn find(&self, value: &str) -> Result<usize> {
        let place = self.names.iter().position(|name| name == value);
        place.ok_or_else(|| {
            Error::not_found(format!(
                "{value:?} is no segment of {:?}: name one of {}",
                self.column,
                self.names.join(", ")
            ))
        })
    }

    /// Counts rows into the parts of their segments.
    pub(crate) fn count(&self, baseline: &Baseline, table: &Table<'_>, parts: &mut [Part]) {
        let of = |place: usize| Some((table.columns().get(place)?, baseline.columns().get(place)?));
        let Some((column, watched)) = of(self.place) else {
            return;
        };
        let mut rows = Vec::with_capacity(table.rows());
        cells(column, &watched.reference, |_, cell| {
            rows.push(self.of_cell.get(cell).copied().unwrap_or_default());
        });
        for segment in &rows {
            if let Some(part) = parts.get_mut(usize::from(*segment)) {
                part.rows += 1;
            }
        }
        for place in 0..table.columns().len() {
            let Some((column, watched)) = of(place) else {
                return;
            };
            let mut segment = rows.iter();
            cells(column, &watched.reference, |value, cell| {
                let part = segment
                    .next()
                    .and_then(|at| parts.get_mut(usize::from(*at)));
                let Some(live) = part.and_then(|part| part.columns.get_mut(place)) else {
                    return;
                };
                if let Some(count) = live.counts.get_mut(cell) {
                    *count += 1;
                }
                if let (Some(moments), Some(value)) = (&mut live.moments, value) {
                    moments.update(value);
                }
            });
        }
    }

    /// Counts the rows of a baseline, which are handed over once more now that its cells are known.
    ///
    /// # Errors
    /// `InvalidInput` for a table that does not fit.
    pub fn take(
        &self,
        baseline: &Baseline,
        table: &Table<'_>,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        baseline.check(table)?;
        parts.resize_with(self.names.len(), || Part::new(baseline));
        self.count(baseline, table, parts);
        Ok(())
    }
}

impl SegmentedBaseline {
    /// The rows of a segment as a window, to be compared with.
    pub(crate) fn window(&self, place: usize) -> Option<Window> {
        let part = self.parts.get(place)?;
        Some(Window {
            start: 0.0,
            end: 0.0,
            rows: part.rows,
            label: None,
            columns: part.columns.clone(),
            segments: Vec::new(),
        })
    }
}

/// Names and cells: values in the order of their counts (they are in that order where there are no
/// counts), those of the last cell missing, all the rest other. A value's cell follows the cell
/// below the least where there are counts.
fn by_rank(values: Vec<String>, counts: &[u64], cells: usize) -> (Vec<String>, Vec<u8>) {
    let first = usize::from(!counts.is_empty());
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&value| std::cmp::Reverse(counts.get(value + first).copied()));
    order.truncate(MAX_SEGMENTS);
    let mut names: Vec<String> = Vec::with_capacity(order.len() + 2);
    let mut of_cell = vec![order.len() as u8; cells];
    for (rank, value) in order.into_iter().enumerate() {
        names.extend(values.get(value).cloned());
        if let Some(cell) = of_cell.get_mut(value + first) {
            *cell = rank as u8;
        }
    }
    if let Some(missing) = of_cell.last_mut() {
        *missing = names.len() as u8 + 1;
    }
    names.extend([OTHER_SEGMENT.to_owned(), NO_SEGMENT.to_owned()]);
    (names, of_cell)
}

/// What whole numbers fall into a bin: one of them by its name.
fn whole(edges: &[f64], bin: usize) -> String {
    let edge = |at: usize| edges.get(at).copied().unwrap_or(f64::NAN);
    let (lower, upper) = (edge(bin - 1), edge(bin));
    // The last bin holds its upper edge.
    let last = if bin + 1 == edges.len() {
        upper
    } else {
        upper - 1.0
    };
    if last <= lower {
        format!("{lower:.0}")
    } else {
        format!("{lower:.0} to {last:.0}")
    }
}

/// Hands on the cell of each row, and the value of a numeric one.
fn cells(column: &Column<'_>, reference: &Reference, mut each: impl FnMut(Option<f64>, usize)) {
    match reference {
        Reference::Categorical(categorical) => categorical.each(column, |cell| each(None, cell)),
        Reference::Numeric(numeric) => {
            let cuts = numeric.histogram().cuts();
            blocks(column, |values| {
                for &value in values {
                    each(Some(value), cuts.cell(value));
                }
            });
        }
    }
}

/// How parts are written, in snapshots and baselines alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenPart {
    columns: Vec<WrittenColumn>,
    rows: u64,
}

/// How the counts of a column are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenColumn {
    counts: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moments: Option<tidegate_sketch::Moments>,
}

pub(crate) fn write(columns: &[Live]) -> Vec<WrittenColumn> {
    let written = |live: &Live| WrittenColumn {
        counts: live.counts.clone(),
        moments: live.moments.clone(),
    };
    columns.iter().map(written).collect()
}

/// The counts of all columns of some rows.
///
/// # Errors
/// What is wrong, where they do not fit the baseline or do not add up to the rows.
pub(crate) fn read(
    columns: Vec<WrittenColumn>,
    rows: u64,
    baseline: &Baseline,
) -> std::result::Result<Vec<Live>, &'static str> {
    if columns.len() != baseline.columns().len() {
        return Err("a window has another number of columns");
    }
    let pairs = columns.into_iter().zip(baseline.columns());
    pairs
        .map(|(column, watched)| {
            let mut counts = column.counts.iter();
            let total = counts.try_fold(0u64, |sum, &n| sum.checked_add(n));
            if column.counts.len() != watched.reference.cells() || total != Some(rows) {
                return Err("counts do not add up to the rows of their window");
            }
            let numeric = matches!(watched.reference, Reference::Numeric(_));
            Ok(Live {
                counts: column.counts,
                moments: column.moments.filter(|_| numeric),
            })
        })
        .collect()
}

impl WrittenPart {
    pub fn of(part: &Part) -> Self {
        Self {
            columns: write(&part.columns),
            rows: part.rows,
        }
    }

    pub fn read(self, baseline: &Baseline) -> std::result::Result<Part, &'static str> {
        Ok(Part {
            columns: read(self.columns, self.rows, baseline)?,
            rows: self.rows,
        })
    }
}
