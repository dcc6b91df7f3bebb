//! What of an answer is a prediction: its decision, its probabilities, or its number.

use tidegate_drift::tally::Pairing;
use tidegate_drift::{Baseline, Role};
use tidegate_schema::{Column, ColumnBuf, DType, TableBuf};

use crate::output::OutputColumn;

/// The output of a classifier that holds its decision.
pub(crate) const LABEL: &str = "label";
/// The output of a classifier that holds one probability a class.
pub(crate) const PROBABILITIES: &str = "probabilities";

/// The watched column that tells the prediction, and whether it is a probability: of two classes the
/// probability of the second, of more the decision, else the first number.
pub(super) fn prediction(baseline: &Baseline) -> Option<(&str, bool)> {
    let columns = baseline.columns().iter();
    let given: Vec<(&str, DType)> = columns
        .filter(|column| column.role == Role::Prediction)
        .map(|column| (column.name.as_str(), column.dtype))
        .collect();
    let mut scores = given
        .iter()
        .filter(|(name, _)| name.starts_with(PROBABILITIES));
    if let (Some((name, DType::Float64)), None) = (scores.next(), scores.next()) {
        return Some((name, true));
    }
    let number = |dtype: &DType| matches!(dtype, DType::Float64 | DType::Int64);
    let label = given.iter().find(|(name, _)| *name == LABEL);
    let found = label.or_else(|| given.iter().find(|(_, dtype)| number(dtype)));
    found.or(given.first()).map(|(name, _)| (*name, false))
}

/// Where the parts of a prediction are among the columns of an answer.
#[derive(Debug)]
struct Places {
    decision: Option<usize>,
    scores: Vec<usize>,
    number: Option<usize>,
}

impl Places {
    fn of(columns: &[OutputColumn]) -> Self {
        let place = |fits: &dyn Fn(&OutputColumn) -> bool| columns.iter().position(fits);
        let scores = columns.iter().enumerate();
        Self {
            decision: place(&|column| column.name == LABEL),
            scores: scores
                .filter(|(_, column)| {
                    column.name.starts_with(PROBABILITIES) && column.dtype == DType::Float64
                })
                .map(|(place, _)| place)
                .collect(),
            number: place(&|column| matches!(column.dtype, DType::Float64 | DType::Int64)),
        }
    }

    fn decides(&self) -> bool {
        self.decision.is_some() || !self.scores.is_empty()
    }
}

/// Reads the answers of two versions beside each other.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    live: (Places, &'a TableBuf),
    shadow: (Places, &'a TableBuf),
    tolerance: f64,
}

impl<'a> Pair<'a> {
    pub fn new(
        live: (&[OutputColumn], &'a TableBuf),
        shadow: (&[OutputColumn], &'a TableBuf),
        tolerance: f64,
    ) -> Self {
        Self {
            live: (Places::of(live.0), live.1),
            shadow: (Places::of(shadow.0), shadow.1),
            tolerance,
        }
    }

    /// Compares a row.
    pub fn row<R>(&self, row: usize, take: impl FnOnce(&Pairing<'_>) -> R) -> R {
        let ((live, given), (shadow, copied)) = (&self.live, &self.shadow);
        if live.decides() {
            let (ours, theirs) = (scores(live, given, row), scores(shadow, copied, row));
            let same = match (live.decision, shadow.decision) {
                (Some(a), Some(b)) => same(given, a, copied, b, row),
                _ => None,
            };
            return take(&Pairing::Decisions {
                same,
                live: &ours,
                shadow: &theirs,
            });
        }
        let number = |places: &Places, table: &TableBuf| {
            let column = places.number.and_then(|place| table.columns.get(place));
            column.map_or(f64::NAN, |column| number(&column.view(), row))
        };
        take(&Pairing::Numbers {
            live: number(live, given),
            shadow: number(shadow, copied),
            tolerance: self.tolerance,
        })
    }
}

fn scores(places: &Places, table: &TableBuf, row: usize) -> Vec<f64> {
    let columns = places.scores.iter();
    let columns = columns.filter_map(|place| table.columns.get(*place));
    columns.map(|column| number(&column.view(), row)).collect()
}

fn number(column: &Column<'_>, row: usize) -> f64 {
    match column {
        Column::Float64(values) => values.get(row).unwrap_or(f64::NAN),
        Column::Int64(values) => values.get(row).map_or(f64::NAN, |value| value as f64),
        _ => f64::NAN,
    }
}

/// Are two decisions the same? `None` where neither is there.
fn same(a: &TableBuf, at: usize, b: &TableBuf, bt: usize, row: usize) -> Option<bool> {
    let (a, b) = (a.columns.get(at)?, b.columns.get(bt)?);
    let (a, b) = (ColumnBuf::view(a), ColumnBuf::view(b));
    match (a.is_missing(row), b.is_missing(row)) {
        (true, true) => return None,
        (false, false) => {}
        _ => return Some(false),
    }
    Some(match (&a, &b) {
        (Column::String(a), Column::String(b)) => a.get(row) == b.get(row),
        (Column::Bool(a), Column::Bool(b)) => a.get(row) == b.get(row),
        (Column::Int64(a), Column::Int64(b)) => a.get(row) == b.get(row),
        (Column::Float64(a), Column::Float64(b)) => a.get(row) == b.get(row),
        _ => false,
    })
}
