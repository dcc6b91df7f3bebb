//! What is handed over to be logged.

use std::sync::Arc;
use std::time::Duration;

use tidegate_schema::{Result, Schema, Table, TableBuf};

use super::rules::Rules;
use crate::{Mark, PredictionId};

/// One prediction that was answered, or a piece of one.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Its name.
    pub id: PredictionId,
    /// Which row of the prediction the first is.
    pub first_row: u32,
    /// How many rows.
    pub rows: u32,
    /// When it was answered, in seconds.
    pub time: f64,
    /// The revision of the deployment that answered.
    pub revision: u64,
    /// The experiment that it takes part in.
    pub experiment: Option<Arc<str>>,
    /// What part the version plays in the deployment; `None` where there is none.
    pub role: Option<&'static str>,
    /// From call to answer.
    pub latency: Duration,
    /// Who asked, where callers have to say so.
    pub caller: Option<Arc<str>>,
}

impl Answered {
    /// What is needed to find its rows again.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark {
            id: self.id,
            first_row: self.first_row,
            rows: self.rows,
            time: self.time,
        }
    }
}

/// Whose predictions they are.
#[derive(Debug)]
pub struct Source {
    /// The bundle's own name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The raw columns; `None` for a model that takes tensors.
    pub features: Option<Schema>,
}

/// Label or named number of one row, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// The prediction.
    pub id: PredictionId,
    /// Which of its rows.
    pub row: u32,
    /// The label as text; `None` where it is none.
    pub label: Option<String>,
    /// The name of a number, and the number.
    pub metric: Option<(String, f64)>,
    /// What became of it.
    pub outcome: &'static str,
}

/// What waits to be written.
pub(super) enum Entry {
    Predictions {
        source: Arc<Source>,
        inputs: Option<TableBuf>,
        answers: TableBuf,
        columns: Arc<Schema>,
        answered: Vec<Answered>,
    },
    Feedback {
        model: String,
        time: f64,
        rows: Vec<Feedback>,
    },
}

/// Bytes of an entry beside its values.
const OVERHEAD: usize = 256;

impl Entry {
    pub fn bytes(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Predictions {
                    inputs,
                    answers,
                    answered,
                    ..
                } => {
                    inputs.as_ref().map_or(0, TableBuf::bytes)
                        + answers.bytes()
                        + size_of_val(answered.as_slice())
                }
                Self::Feedback { rows, .. } => {
                    let texts = rows.iter().map(|row| {
                        let label = row.label.as_ref().map_or(0, String::len);
                        label + row.metric.as_ref().map_or(0, |(name, _)| name.len())
                    });
                    size_of_val(rows.as_slice()) + texts.sum::<usize>()
                }
            }
    }

    pub fn rows(&self) -> usize {
        match self {
            Self::Predictions { answers, .. } => answers.rows(),
            Self::Feedback { rows, .. } => rows.len(),
        }
    }
}

/// Inputs, answers and whose they are.
pub(super) type Kept = (Option<TableBuf>, TableBuf, Vec<Answered>);

/// The predictions that the rules keep: all as they are, or their rows copied; `None` of none.
pub(super) fn sampled(
    rules: &Rules,
    share: f64,
    inputs: Option<TableBuf>,
    answers: TableBuf,
    answered: Vec<Answered>,
) -> Result<Option<Kept>> {
    let keeps = |one: &Answered| rules.keeps(share, one.id, one.latency.as_secs_f64());
    let kept = answered.iter().filter(|one| keeps(one)).count();
    if kept == answered.len() {
        return Ok(Some((inputs, answers, answered)));
    }
    if kept == 0 {
        return Ok(None);
    }
    let from = inputs.as_ref().map(TableBuf::view).transpose()?;
    let (mut features, mut results) = (from.as_ref().map(empty), empty(&answers.view()?));
    let all = answers.view()?;
    let (mut start, mut some) = (0, Vec::with_capacity(kept));
    for one in answered {
        let rows = one.rows as usize;
        if keeps(&one) {
            if let (Some(to), Some(from)) = (&mut features, &from) {
                extend(to, &from.slice(start, rows))?;
            }
            extend(&mut results, &all.slice(start, rows))?;
            some.push(one);
        }
        start += rows;
    }
    Ok(Some((features, results, some)))
}

fn empty(table: &Table<'_>) -> TableBuf {
    let columns = table.columns().iter();
    TableBuf {
        columns: columns
            .map(|column| tidegate_schema::ColumnBuf::new(column.dtype(), 0))
            .collect(),
    }
}

fn extend(to: &mut TableBuf, from: &Table<'_>) -> Result<()> {
    for (to, from) in to.columns.iter_mut().zip(from.columns()) {
        to.extend_from(from)?;
    }
    Ok(())
}
