//! What live values are compared with: frozen cells and counts of every watched column.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Column, DType, Error, Result, Table};

use crate::blocks::blocks;
use crate::segments::WrittenPart;
use crate::{Categorical, Numeric, Part, SegmentedBaseline, Segments};

/// The version written into serialised baselines.
const VERSION: u32 = 2;
/// The version of those without segments, which earlier releases read as well.
const PLAIN_VERSION: u32 = 1;

/// What a watched column is to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A raw input column.
    Feature,
    /// A column of the model's answer.
    Prediction,
}

/// The cells of a column and the baseline's counts in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// int64, float64 and timestamp columns.
    Numeric(Numeric),
    /// string and bool columns.
    Categorical(Categorical),
}

impl Reference {
    /// The baseline's counts, cell by cell.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        match self {
            Self::Numeric(numeric) => numeric.histogram.cells().to_vec(),
            Self::Categorical(categorical) => categorical.counts(),
        }
    }

    pub(crate) fn cells(&self) -> usize {
        match self {
            Self::Numeric(numeric) => numeric.histogram.cells().len(),
            Self::Categorical(categorical) => categorical.cells(),
        }
    }

    /// Adds the values of a column to their cells.
    pub(crate) fn count(&self, column: &Column<'_>, counts: &mut [u64]) {
        match self {
            Self::Numeric(numeric) => {
                let cuts = numeric.histogram.cuts();
                blocks(column, |values| cuts.count(values, counts));
            }
            Self::Categorical(categorical) => categorical.count(column, counts),
        }
    }

    pub(crate) const fn suits(&self, dtype: DType) -> bool {
        match self {
            Self::Numeric(_) => !matches!(dtype, DType::String | DType::Bool),
            Self::Categorical(_) => matches!(dtype, DType::String | DType::Bool),
        }
    }
}

/// One watched column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// The column's name, unique within its role.
    pub name: String,
    /// The type of its values.
    pub dtype: DType,
    /// What it is to the model.
    pub role: Role,
    /// Its cells and the baseline's counts.
    pub reference: Reference,
}

/// Frozen cells and counts of every watched column: first the features, then the predictions.
///
/// Made by a [`crate::BaselineBuilder`], kept in a bundle as canonical JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    rows: u64,
    columns: Vec<Watched>,
    segmented: Option<Box<SegmentedBaseline>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    columns: Vec<Watched>,
    rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segments: Option<WrittenSegments>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSegments {
    column: String,
    parts: Vec<WrittenPart>,
}

impl Baseline {
    /// A baseline of these columns; an error when counts do not add up to `rows`.
    pub(crate) fn new(rows: u64, columns: Vec<Watched>) -> Result<Self> {
        if rows == 0 {
            return Err(Error::invalid(
                "a baseline of no rows: give it the rows the model was trained on",
            ));
        }
        for (position, column) in columns.iter().enumerate() {
            let name = &column.name;
            if !column.reference.suits(column.dtype) {
                return Err(Error::state(format!(
                    "watched column {name:?} is {} but its cells are of another kind",
                    column.dtype
                )));
            }
            let counts = column.reference.counts();
            let total = counts.iter().try_fold(0u64, |sum, &n| sum.checked_add(n));
            if total != Some(rows) {
                return Err(Error::state(format!(
                    "the counts of watched column {name:?} do not add up to the {rows} rows of the baseline"
                )));
            }
            let before = columns.get(..position).unwrap_or_default();
            if before
                .iter()
                .any(|other| other.name == *name && other.role == column.role)
            {
                return Err(Error::state(format!("column {name:?} is watched twice")));
            }
        }
        Ok(Self {
            rows,
            columns,
            segmented: None,
        })
    }

    /// The baseline with its rows by segment, as [`Segments::take`] has counted them.
    ///
    /// # Errors
    /// `State` when they are not the rows of the baseline.
    pub fn with_segments(mut self, segments: Segments, parts: Vec<Part>) -> Result<Self> {
        let rows = parts
            .iter()
            .try_fold(0u64, |sum, part| sum.checked_add(part.rows));
        if parts.len() != segments.names().len() || rows != Some(self.rows) {
            return Err(Error::state(format!(
                "the segments of column {:?} do not add up to the {} rows of the baseline",
                segments.column(),
                self.rows
            )));
        }
        self.segmented = Some(Box::new(SegmentedBaseline { segments, parts }));
        Ok(self)
    }

    /// Its rows by segment, where it was built so.
    #[must_use]
    pub fn segmented(&self) -> Option<&SegmentedBaseline> {
        self.segmented.as_deref()
    }

    /// How many rows it was taken from.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The watched columns: features, then predictions.
    #[must_use]
    pub fn columns(&self) -> &[Watched] {
        &self.columns
    }

    /// Do number and types of a table's columns fit?
    pub(crate) fn check(&self, table: &Table<'_>) -> Result<()> {
        check(
            table,
            self.columns.iter().map(|c| (c.name.as_str(), c.dtype)),
        )
    }

    /// Canonical JSON: sorted keys, no white space, columns in order.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document {
            columns: self.columns.clone(),
            rows: self.rows,
            segments: self.segmented.as_ref().map(|segmented| WrittenSegments {
                column: segmented.segments.column().to_owned(),
                parts: segmented.parts.iter().map(WrittenPart::of).collect(),
            }),
            version: if self.segmented.is_some() {
                VERSION
            } else {
                PLAIN_VERSION
            },
        };
        // `Value` sorts keys, which makes the text canonical.
        serde_json::to_value(&document)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }

    /// Reads what [`Baseline::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        // The version first: a later one may have fields that this one does not know.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |error| Error::state(format!("not a baseline: {error}"));
        let Version { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::state(format!(
                "baseline version {version} is newer than {VERSION}, the newest this tidegate reads: upgrade tidegate"
            )));
        }
        let document: Document = serde_json::from_str(text).map_err(unreadable)?;
        let baseline = Self::new(document.rows, document.columns)?;
        let Some(written) = document.segments else {
            return Ok(baseline);
        };
        let segments = Segments::new(&baseline, &written.column)?;
        let read = |part: WrittenPart| part.read(&baseline).map_err(Error::state);
        let parts = written.parts.into_iter().map(read).collect::<Result<_>>()?;
        baseline.with_segments(segments, parts)
    }
}

/// Do number and types of a table's columns fit? Nulls always do: they are counted.
pub(crate) fn check<'a>(
    table: &Table<'_>,
    due: impl ExactSizeIterator<Item = (&'a str, DType)>,
) -> Result<()> {
    if table.columns().len() != due.len() {
        return Err(Error::invalid(format!(
            "the table has {} columns where {} are watched: pass the inputs, then the outputs",
            table.columns().len(),
            due.len()
        )));
    }
    for (column, (name, dtype)) in table.columns().iter().zip(due) {
        if Column::dtype(column) != dtype {
            return Err(Error::invalid(format!(
                "watched column {name:?} is {} where the baseline says {dtype}",
                column.dtype()
            )));
        }
    }
    Ok(())
}
