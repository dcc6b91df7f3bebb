//! What is counted of the arms of one revision.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_drift::tally::{
    Answered as Counted, Cells, Observe, Sample, Samples, Scope, Segments, Tally, segment_key,
};
use tidegate_predictionlog::PredictionId;
use tidegate_predictionlog::log::Answered;
use tidegate_schema::{Column, ErrorKind, Result, Schema, Table, TableBuf};

use super::reading::prediction;
use super::shade::{Copied, Late, Shade};
use crate::Model;
use crate::output::OutputColumn;
use crate::routing::{Arm, Plan};

/// What is counted of one version.
#[derive(Debug)]
struct ArmTally {
    version: String,
    /// By the observer's thread, and by feedback.
    counted: Mutex<Tally>,
    /// By whoever answers: failures. Apart, since nobody who answers may wait for a table to be counted.
    at_once: Mutex<Tally>,
}

/// What is counted of the arms of one revision.
#[derive(Debug)]
pub(crate) struct Comparison {
    deployment: String,
    revision: u64,
    began: f64,
    scope: Arc<Scope>,
    /// The place of the segments' column among the inputs.
    column: Option<usize>,
    /// Replaced when one is added, so that a shadow reads without a lock.
    segments: Mutex<Arc<Segments>>,
    arms: Vec<ArmTally>,
    shade: Option<Arc<Shade>>,
}

/// A version of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    comparison: Arc<Comparison>,
    place: usize,
}

impl PartialEq for Side {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && Arc::ptr_eq(&self.comparison, &other.comparison)
    }
}

/// What joins a label that comes later with the comparison: which one, and the key of each row's
/// segment where there are segments.
#[derive(Debug)]
pub(crate) struct Joined {
    pub origin: u64,
    pub keys: Option<Vec<u64>>,
}

/// A revision of a deployment as one number, the same in all processes; never 0.
fn origin_of(deployment: &str, revision: u64) -> u64 {
    segment_key(&format!("{revision} {deployment}")).max(1)
}

pub(super) fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    // What counts is never broken by a panic: it has counted half a table.
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Comparison {
    /// What is to be counted of a plan; `None` for one version without a shadow. `models` are those of
    /// the arms and then that of the shadow, and were held against the plan.
    ///
    /// # Errors
    /// `InvalidInput` for what cannot be counted; `Backend` when the system gives no thread.
    pub fn new(
        deployment: &str,
        revision: u64,
        plan: &Plan,
        models: &[Arc<Model>],
        before: Option<&Self>,
        now: f64,
    ) -> Result<Option<Arc<Self>>> {
        let Some(stable) = models.get(plan.stable()) else {
            return Ok(None);
        };
        if plan.arms.len() < 2 && plan.shadow.is_none() {
            return Ok(None);
        }
        let asked: Observe = plan.observe.clone().unwrap_or_default();
        let baseline = stable.baseline();
        let told = baseline.as_deref().and_then(prediction);
        let cells = baseline
            .clone()
            .map(|baseline| Cells::new(baseline, told.map(|(name, _)| name)));
        let scope = |asked: Observe| {
            let probability = told.is_some_and(|(_, probability)| probability);
            let task = stable.task().cloned();
            Scope::new(asked, cells.clone(), probability, task).map(Arc::new)
        };
        let segment = asked.segment.clone();
        let place = |name: &String| {
            stable
                .schema()
                .and_then(|schema| Schema::position(schema, name))
        };
        let column = segment.as_ref().and_then(place);
        let named = segment.map(|name| Segments::new(&name, baseline.as_deref()));
        let segments = Mutex::new(Arc::new(named.unwrap_or_default()));
        let whole = scope(asked.clone())?;
        let tally = |version: &String| ArmTally {
            version: version.clone(),
            counted: Mutex::new(Tally::new(Arc::clone(&whole))),
            at_once: Mutex::new(Tally::new(Arc::clone(&whole))),
        };
        let arms = plan.arms.iter().map(|arm| tally(&arm.version)).collect();
        let shade = match (&plan.shadow, models.last()) {
            (Some(shadow), Some(model)) => {
                // Inputs are the same on both sides.
                let pairs = scope(Observe {
                    features: false,
                    ..asked
                })?;
                let known = before.and_then(|before| before.shade.as_ref());
                let shade = Shade::new(model, shadow.share, pairs, known)?;
                Some(shade)
            }
            _ => None,
        };
        Ok(Some(Arc::new(Self {
            deployment: deployment.to_owned(),
            revision,
            began: now,
            scope: whole,
            column,
            segments,
            arms,
            shade,
        })))
    }

    /// The version at a place of the plan.
    pub fn side(self: &Arc<Self>, place: usize) -> Side {
        Side {
            comparison: Arc::clone(self),
            place,
        }
    }

    pub const fn revision(&self) -> u64 {
        self.revision
    }

    pub fn origin(&self) -> u64 {
        origin_of(&self.deployment, self.revision)
    }

    pub fn shade(&self) -> Option<&Arc<Shade>> {
        self.shade.as_ref()
    }

    /// The label of a prediction came: which row it is of, its numbers, and the key of its segment.
    pub fn labelled(
        &self,
        version: &str,
        of: (PredictionId, Option<u32>),
        row: &[f64],
        actual: f64,
        key: Option<u64>,
    ) {
        self.joined(version, key, |tally, segment| {
            tally.labelled(row, actual, segment);
            if let Some(shade) = &self.shade {
                shade.labelled(Late {
                    of,
                    numbers: row.to_vec(),
                    actual,
                    segment: segment.map(str::to_owned),
                });
            }
        });
    }

    /// A named number of a prediction came.
    pub fn measured(&self, version: &str, name: &str, value: f64, key: Option<u64>) {
        self.joined(version, key, |tally, segment| {
            tally.measured(name, value, segment);
        });
    }

    fn joined(&self, version: &str, key: Option<u64>, take: impl FnOnce(&mut Tally, Option<&str>)) {
        if let Some(arm) = self.arms.iter().find(|arm| arm.version == version) {
            let segments = Arc::clone(&lock(&self.segments));
            // One that was seen by another process only is in no segment here.
            let segment = key.and_then(|key| segments.by_key(key));
            take(&mut lock(&arm.counted), segment);
        }
    }

    /// What has been counted until now.
    pub fn samples(&self, now: f64) -> Result<Samples> {
        let arms = self.arms.iter().map(|arm| {
            let mut sample: Sample = lock(&arm.counted).sample().clone();
            sample.merge(lock(&arm.at_once).sample())?;
            Ok((arm.version.clone(), sample))
        });
        Ok(Samples {
            deployment: self.deployment.clone(),
            revision: self.revision,
            began: self.began,
            until: now.max(self.began),
            arms: arms.collect::<Result<BTreeMap<_, _>>>()?,
            shadow: self
                .shade
                .as_ref()
                .map(|shade| shade.samples())
                .transpose()?,
        })
    }

    /// Copies no more. Those that wait are forgotten; one that runs ends by itself.
    pub fn stop(&self) {
        if let Some(shade) = &self.shade {
            shade.stop();
        }
    }

    /// The place of the segment of each row.
    fn places(&self, inputs: Option<&Table<'_>>) -> Option<(Arc<Segments>, Vec<usize>)> {
        let column: &Column<'_> = inputs?.columns().get(self.column?)?;
        let rows = 0..column.len();
        let mut segments = lock(&self.segments);
        // Copied only while an earlier one is still read.
        let own = Arc::make_mut(&mut segments);
        let places = rows.map(|row| own.of(column, row)).collect();
        Some((Arc::clone(&segments), places))
    }

    fn segment(&self, inputs: Option<&TableBuf>) -> Option<String> {
        let column = inputs?.columns.get(self.column?)?;
        let mut segments = lock(&self.segments);
        let place = Arc::make_mut(&mut segments).of(&column.view(), 0);
        Some(segments.named(place).to_owned())
    }
}

/// The rows of each request, and its seconds.
pub(super) fn requests(seen: &[Answered]) -> Vec<(usize, Option<f64>)> {
    let each = |seen: &Answered| {
        let whole = seen.first_row == 0;
        let latency = whole.then_some(seen.latency.as_secs_f64());
        (seen.rows as usize, latency)
    };
    seen.iter().map(each).collect()
}

/// The column of an answer that tells the prediction.
pub(super) fn told<'a>(
    scope: &Scope,
    columns: &[OutputColumn],
    answers: &'a TableBuf,
) -> Option<Column<'a>> {
    let watched = scope.cells()?.prediction()?;
    let place = columns
        .iter()
        .position(|column| column.name == watched.name)?;
    Some(answers.columns.get(place)?.view())
}

impl Side {
    fn arm(&self) -> Option<&ArmTally> {
        self.comparison.arms.get(self.place)
    }

    /// Counts answered requests, and hands copies to the shadow. `columns` says what those of the
    /// answers are.
    pub fn answered(
        &self,
        inputs: Option<&Table<'_>>,
        columns: &[OutputColumn],
        answers: &TableBuf,
        seen: &[Answered],
    ) -> Joined {
        let comparison = &*self.comparison;
        let mut joined = Joined {
            origin: comparison.origin(),
            keys: None,
        };
        let Some(arm) = self.arm() else {
            return joined;
        };
        let places = comparison.places(inputs);
        if let Some((segments, places)) = &places {
            let key = |place: &usize| segment_key(segments.named(*place));
            joined.keys = Some(places.iter().map(key).collect());
        }
        let prediction = told(&comparison.scope, columns, answers);
        // Columns that do not fit are not counted: the arms of a deployment are of one schema.
        let _ = lock(&arm.counted).answered(&Counted {
            requests: &requests(seen),
            features: inputs,
            prediction: prediction.as_ref(),
            segments: places
                .as_ref()
                .map(|(segments, places)| (&**segments, places.as_slice())),
        });
        if let (Some(shade), Some(inputs)) = (&comparison.shade, inputs) {
            shade.copy(inputs, columns, answers, seen, places.as_ref());
        }
        joined
    }

    /// A request was answered that cannot be counted in full, because the observer is behind.
    pub fn missed(&self, inputs: Option<&TableBuf>) {
        let segment = self.comparison.segment(inputs);
        if let Some(arm) = self.arm() {
            lock(&arm.at_once).requested(segment.as_deref());
        }
    }

    /// A request was not answered.
    pub fn failed(&self, kind: ErrorKind, inputs: Option<&TableBuf>) {
        let Some(arm) = self.arm() else {
            return;
        };
        let segment = || self.comparison.segment(inputs);
        match fault(kind) {
            Fault::Model => {
                let segment = segment();
                lock(&arm.at_once).failed(segment.as_deref());
                if let Some(shade) = &self.comparison.shade {
                    shade.live_failed(segment.as_deref());
                }
            }
            Fault::Request => {
                let segment = segment();
                lock(&arm.at_once).refused(segment.as_deref());
            }
            Fault::None => {}
        }
    }

    /// Is this request of a model that takes tensors to be copied? Asked before they are given away.
    pub fn copies(&self) -> bool {
        let shade = self.comparison.shade.as_ref();
        shade.is_some_and(|shade| shade.takes())
    }

    /// Hands the shadow a request of a model that takes tensors.
    pub fn copied(&self, copied: Copied) {
        if let Some(shade) = &self.comparison.shade {
            shade.push(copied);
        }
    }
}

impl Arm {
    /// What is counted of it.
    pub(crate) fn side(&self) -> Option<&Side> {
        self.side.as_ref()
    }
}

/// Whose fault it is that a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Model,
    /// Of the request, or of the load.
    Request,
    /// Nobody waited, or nobody was there to answer.
    None,
}

pub(super) const fn fault(kind: ErrorKind) -> Fault {
    match kind {
        ErrorKind::Backend | ErrorKind::Internal => Fault::Model,
        ErrorKind::InvalidInput
        | ErrorKind::TooLarge
        | ErrorKind::Unsupported
        | ErrorKind::Overloaded
        | ErrorKind::RateLimited
        | ErrorKind::Deadline => Fault::Request,
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::NotReady
        | ErrorKind::Cancelled
        | ErrorKind::Integrity
        | ErrorKind::State
        | ErrorKind::Closed => Fault::None,
    }
}
