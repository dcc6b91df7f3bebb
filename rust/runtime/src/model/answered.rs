//! What is done with a request that was answered or failed: it is counted, and its rows are handed over.

use std::sync::Arc;
use std::time::Instant;

use tidegate_predictionlog::PredictionId;
use tidegate_predictionlog::log::Answered;
use tidegate_schema::{Error, ErrorKind, Table, TableBuf, Tensor};

use super::Model;
use crate::answer::Answer;
use crate::comparison::{Copied, CopiedInputs, Side};
use crate::failures::Fault;
use crate::options::CallOptions;
use crate::routing::Routed;
use crate::work::Block;

/// What of a request is there when it has been answered.
#[derive(Default)]
pub(super) struct Kept {
    pub table: Option<TableBuf>,
    /// Of a model that takes tensors, for its shadow.
    pub copy: Option<Vec<Block>>,
}

impl Kept {
    pub const fn table(table: TableBuf) -> Self {
        Self {
            table: Some(table),
            copy: None,
        }
    }
}

/// What is remembered of a call until it is answered.
pub(super) struct Called {
    pub begin: Instant,
    watch: bool,
    caller: Option<Arc<str>>,
    piece_of: Option<(PredictionId, u32)>,
    routed: Option<Routed>,
}

impl Called {
    pub fn new(begin: Instant, options: &CallOptions) -> Self {
        Self {
            begin,
            watch: options.watch,
            caller: options.caller.clone(),
            piece_of: options.piece_of,
            routed: options.routed.clone(),
        }
    }

    /// Is it a request of somebody, and no probe?
    pub const fn watch(&self) -> bool {
        self.watch
    }

    /// What is counted of the version, where it is compared with others.
    pub fn side(&self) -> Option<&Side> {
        let routed = self.routed.as_ref().filter(|_| self.watch)?;
        routed.arm().side()
    }

    /// A copy of tensors for a shadow, if this request is one of its share.
    pub fn copy(&self, blocks: &[Block]) -> Option<Vec<Block>> {
        let side = self.side()?;
        side.copies().then(|| blocks.to_vec())
    }
}

impl Model {
    /// Counts an answered request, hands its rows over, and dresses its outputs. Rows are handed
    /// over before the answer is given, to be counted after it: whoever has an answer and asks for
    /// the drift, or labels it, finds its own rows there.
    pub(super) fn answered(
        self: &Arc<Self>,
        called: &Called,
        rows: usize,
        outputs: Vec<Tensor>,
        kept: Kept,
    ) -> Answer {
        let (answer, seen) = self.dress(called, rows, outputs);
        if self.is_observed(called) {
            let (observed, side) = (&self.observed, called.side());
            match observed.read(&answer.outputs) {
                Ok(answers) => {
                    if let (Some(side), Some(blocks)) = (side, kept.copy) {
                        side.copied(Copied {
                            inputs: CopiedInputs::Blocks(blocks),
                            columns: observed.known_columns(),
                            answers: answers.clone(),
                            seen: seen.clone(),
                            places: None,
                        });
                    }
                    let observer = &self.shared.observer;
                    observer.push(observed, side, kept.table, answers, seen);
                }
                Err(_) => {
                    observed.drop_rows(rows);
                    if let Some(side) = side {
                        side.missed(kept.table.as_ref());
                    }
                }
            }
        }
        answer
    }

    /// Is anything done with the answer beside giving it?
    pub(super) fn is_observed(&self, called: &Called) -> bool {
        called.watch && (self.observed.is_busy() || called.side().is_some())
    }

    pub(super) fn dress(
        self: &Arc<Self>,
        called: &Called,
        rows: usize,
        outputs: Vec<Tensor>,
    ) -> (Answer, Answered) {
        let (latency, time) = (called.begin.elapsed(), self.shared.now());
        self.counters.succeeded(rows, latency, time);
        let (piece, routed) = (called.piece_of, called.routed.as_ref());
        let (id, first_row) = piece.unwrap_or_else(|| (self.shared.ids.next(), 0));
        let seen = Answered {
            id,
            first_row,
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
            time,
            revision: routed.map_or(0, Routed::revision),
            experiment: routed.and_then(Routed::experiment).cloned(),
            role: routed.map(|routed| routed.role().name()),
            latency,
            caller: called.caller.clone(),
        };
        let answer = Answer {
            outputs,
            prediction_id: id,
            model: Arc::clone(self),
            routed: called.routed.clone(),
        };
        (answer, seen)
    }

    /// Counts a request that failed; `inputs` are its rows where they are known.
    pub(super) fn failed(&self, called: &Called, inputs: Option<&TableBuf>, error: Error) -> Error {
        self.counters.failed(error.kind, called.begin.elapsed());
        self.refused_value(&error);
        if let Some(side) = called.side() {
            side.failed(error.kind, inputs);
        }
        error
    }

    /// Keeps a row of a request that failed in its features or its model: the first, since all of it
    /// fails.
    pub(super) fn keep_example(&self, error: &Error, table: &Table<'_>) {
        // What the model refuses is the caller's fault to the backend; all else is no fault of rows.
        let of_rows = matches!(
            error.kind,
            ErrorKind::Backend | ErrorKind::InvalidInput | ErrorKind::Internal
        );
        if let (Some(plan), true) = (&self.plan, of_rows) {
            let (schema, now) = (plan.input_schema(), self.shared.now());
            let find = || Some((0, error.message.clone()));
            self.failures.keep(Fault::Model, schema, table, now, find);
        }
    }
}
