//! How the answers of one model become the numbers that wait for labels.

use std::sync::Arc;

use tidegate_drift::quality::{Label, MAX_CLASSES, Task};
use tidegate_drift::{Baseline, NO_SEGMENT, Reference, Role};
use tidegate_predictionlog::Mark;
use tidegate_schema::{Column, DType, Result, Schema, Table, TableBuf};

use super::Book;
use crate::bundle::{Kind, Manifest};
use crate::comparison::{Joined, LABEL, PROBABILITIES};
use crate::output::OutputColumn;
use crate::telling_column::telling_column;

/// Follows the predictions of one model.
pub(crate) struct Follow {
    book: Arc<Book>,
    slot: u32,
    task: Task,
    /// The place of the segment column among the inputs.
    segment: Option<usize>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// What a bundle predicts; `None` where there is nothing to hold a label against.
fn task(manifest: &Manifest, baseline: Option<&Baseline>) -> Option<Task> {
    match manifest.model.kind {
        Kind::Classifier => {
            let classes = manifest.model.classes.clone()?;
            (2..=MAX_CLASSES)
                .contains(&classes.len())
                .then_some(Task::Classification {
                    classes,
                    probabilities: true,
                })
        }
        Kind::Regressor => Some(Task::Regression {
            span: baseline.and_then(span),
        }),
        Kind::Tensors => None,
    }
}

/// How far apart the predictions of the baseline are.
fn span(baseline: &Baseline) -> Option<f64> {
    let mut columns = baseline.columns().iter();
    let column = columns.find(|column| column.role == Role::Prediction)?;
    let Reference::Numeric(numeric) = &column.reference else {
        return None;
    };
    let span = numeric.moments().max()? - numeric.moments().min()?;
    (span > 0.0 && span.is_finite()).then_some(span)
}

impl Follow {
    /// Follows a model; `None` for one whose answers are no decisions.
    ///
    /// # Errors
    /// `InvalidInput` for a segment column that the model does not have, or that is of another
    /// type than texts, whole numbers or bools.
    pub fn new(
        book: &Arc<Book>,
        manifest: &Manifest,
        digest: &str,
        baseline: Option<&Baseline>,
        segment: Option<&str>,
        schema: Option<&Schema>,
    ) -> Result<Option<Self>> {
        let Some(task) = task(manifest, baseline).filter(|_| book.is_on()) else {
            return Ok(None);
        };
        let segment = segment
            .map(|name| segment_column(schema, name))
            .transpose()?;
        let slot = book.register(&manifest.name, &manifest.version, digest, &task)?;
        Ok(Some(Self {
            book: Arc::clone(book),
            slot,
            task,
            segment,
        }))
    }

    /// What is predicted.
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Takes in answers: the columns that [`crate::observed::Observed`] reads, which these are.
    pub fn predicted(
        &self,
        columns: &[OutputColumn],
        inputs: Option<&Table<'_>>,
        answers: &TableBuf,
        marks: Vec<Mark>,
        joined: Option<Joined>,
    ) {
        let rows = answers.rows();
        let Some(values) = self.values(columns, answers) else {
            return;
        };
        let segments = self.segment.and_then(|place| {
            let column = inputs?.columns().get(place)?;
            Some((0..rows).map(|row| segment_of(column, row)).collect())
        });
        self.book
            .predicted(self.slot, marks, &values, segments, joined);
    }

    /// The numbers of each row, as [`Task::width`] has them.
    pub fn values(&self, columns: &[OutputColumn], answers: &TableBuf) -> Option<Vec<f64>> {
        let rows = answers.rows();
        let width = self.task.width();
        let mut values = vec![f64::NAN; rows * width];
        let mut put = |place: usize, value: &dyn Fn(usize) -> f64| {
            for (row, numbers) in values.chunks_mut(width).enumerate() {
                if let Some(number) = numbers.get_mut(place) {
                    *number = value(row);
                }
            }
        };
        let mut found = columns.iter().zip(&answers.columns);
        match &self.task {
            Task::Regression { .. } => {
                let (_, column) = found
                    .find(|(_, column)| matches!(column.dtype(), DType::Float64 | DType::Int64))?;
                let view = column.view();
                put(0, &|row| number(&view, row));
            }
            Task::Classification { .. } => {
                let mut place = 1;
                for (described, column) in found {
                    let view = column.view();
                    if described.name == LABEL {
                        put(0, &|row| {
                            let class = class(&view, row).map(|label| self.task.encode(label));
                            class.and_then(std::result::Result::ok).unwrap_or(f64::NAN)
                        });
                    } else if described.name.starts_with(PROBABILITIES) {
                        put(place, &|row| number(&view, row));
                        place += 1;
                    }
                }
                // Not the outputs of a classifier as bundles have them.
                (place == width).then_some(())?;
            }
        }
        Some(values)
    }
}

fn number(column: &Column<'_>, row: usize) -> f64 {
    match column {
        Column::Float64(values) => values.get(row).unwrap_or(f64::NAN),
        Column::Int64(values) => values.get(row).map_or(f64::NAN, |value| value as f64),
        _ => f64::NAN,
    }
}

fn class<'a>(column: &Column<'a>, row: usize) -> Option<Label<'a>> {
    match column {
        Column::Bool(values) => values.get(row).map(|value| Label::Bool(value != 0)),
        Column::Int64(values) => values.get(row).map(Label::Int),
        Column::String(values) => values.get(row).map(Label::Text),
        _ => None,
    }
}

pub(crate) fn segment_column(schema: Option<&Schema>, name: &str) -> Result<usize> {
    telling_column("segments", name, schema, "leave the segments out")
}

fn segment_of(column: &Column<'_>, row: usize) -> String {
    let found = match column {
        Column::String(values) => values.get(row).map(str::to_owned),
        Column::Int64(values) => values.get(row).map(|value| value.to_string()),
        Column::Bool(values) => values.get(row).map(|value| (value != 0).to_string()),
        _ => None,
    };
    found.unwrap_or_else(|| NO_SEGMENT.to_owned())
}
