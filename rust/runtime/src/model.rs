//! One loaded version of a model: what it takes and gives, and how it is asked.

mod answered;
mod request;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_batching::{Batcher, Limits, Reason, Refusal};
use tidegate_drift::quality::Task;
use tidegate_drift::{Baseline, MistypedColumn, Report, WindowReport};
use tidegate_features::Plan;
use tidegate_features::rules::Policy;
use tidegate_protocol::columns;
use tidegate_protocol::feedback::Entry;
use tidegate_schema::{Error, ErrorKind, Result, Schema, TableBuf, Tensor};

use crate::TensorInfo;
use crate::admit::variable_rows;
use crate::backend::Backend;
use crate::background::in_background;
use crate::bundle::{Kind, Manifest};
use crate::door::Door;
use crate::failures::{FailedRow, Failures};
use crate::feedback::{ModelQuality, Received, no_quality};
use crate::guard::{Guarded, ModelGuard, no_rules};
use crate::metrics::{Counters, Stage, Statistics};
use crate::observed::Observed;
use crate::options::{LoadOptions, instances_by_cores};
use crate::output::OutputColumn;
use crate::shared::Shared;
use crate::vigil::Vigil;
use crate::watch::Watch;
use crate::work::{Executor, Job};

/// One loaded version of a model. Shared by all who serve it; dropped with the last of them, when
/// what it has accepted is answered.
pub struct Model {
    shared: Arc<Shared>,
    name: String,
    version: String,
    bundle: Option<Origin>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    plan: Option<Arc<Plan>>,
    batcher: Arc<Batcher<Job, Executor>>,
    vigil: Arc<Vigil>,
    door: Door,
    limits: Limits,
    /// May requests share a run?
    merge: bool,
    guard: Option<ModelGuard>,
    failures: Failures,
    observed: Arc<Observed>,
    counters: Arc<Counters>,
    /// Makes further instances.
    spare: Option<Mutex<Executor>>,
}

/// The bundle that a model was loaded from.
pub(crate) struct Origin {
    pub manifest: Manifest,
    pub digest: String,
    pub verified: bool,
}

/// What a model is made of.
pub(crate) struct Ingredients {
    pub name: String,
    pub version: String,
    pub bundle: Option<Origin>,
    pub plan: Option<Arc<Plan>>,
    pub guard: Option<ModelGuard>,
    pub observed: Arc<Observed>,
    pub backend: Box<dyn Backend>,
}

impl Model {
    /// `prove` is run on the path before anything is counted.
    pub(crate) fn new(
        shared: Arc<Shared>,
        made_of: Ingredients,
        options: &LoadOptions,
        prove: impl FnOnce(&mut Executor) -> Result<()> + Send,
    ) -> Result<Arc<Self>> {
        let Ingredients {
            name,
            version,
            bundle,
            plan,
            guard,
            observed,
            backend,
        } = made_of;
        let at_model = |error: Error| error.at(format_args!("model {name:?}"));
        options.check().map_err(at_model)?;
        let outputs = backend.outputs().to_vec();
        let merge = match &plan {
            Some(_) => true,
            None => options.merge && variable_rows(backend.inputs(), &outputs),
        };
        let inputs = match &plan {
            Some(plan) => columns::signature(plan.input_schema()),
            None => backend.inputs().to_vec(),
        };
        let schema = plan.as_ref().map(|plan| plan.input_schema());
        let failures = Failures::new(schema, shared.log.clone());
        let counters = Arc::new(Counters::new());
        let mut executor = Executor::new(backend, Arc::new(Counters::new()), plan.is_some());
        in_background(|| prove(&mut executor))?;
        executor.count_in(Arc::clone(&counters));
        let spare = executor.another().map_err(at_model)?.map(Mutex::new);
        let executors = instances(executor, options.instances).map_err(at_model)?;
        let batcher = Batcher::new(&thread_name(&name), executors, options.limits);
        let batcher =
            batcher.map_err(|e| at_model(Error::new(ErrorKind::Backend, e.to_string())))?;
        Ok(Arc::new(Self {
            vigil: Vigil::new(Arc::clone(&shared), Arc::clone(&batcher)),
            shared,
            name,
            version,
            bundle,
            inputs,
            outputs,
            plan,
            batcher,
            door: Door::new(&options.limits),
            limits: options.limits,
            merge,
            guard,
            failures,
            observed,
            counters,
            spare,
        }))
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, as a text that is never interpreted.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The digest of its bundle.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.bundle.as_ref().map(|bundle| bundle.digest.as_str())
    }

    /// Was the bundle's manifest held against a registered digest?
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.bundle.as_ref().is_some_and(|bundle| bundle.verified)
    }

    /// The manifest of its bundle.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.bundle.as_ref().map(|bundle| &bundle.manifest)
    }

    /// What the model is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.manifest().map_or(Kind::Tensors, |m| m.model.kind)
    }

    /// A classifier's classes, in the order of its probabilities.
    #[must_use]
    pub fn classes(&self) -> Option<&[serde_json::Value]> {
        self.manifest().and_then(|m| m.model.classes.as_deref())
    }

    /// What it takes on the wire: its own inputs, or one `[-1, 1]` for each raw column.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// What it gives.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// The raw columns; `None` for a model that takes tensors.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.plan.as_ref().map(|plan| plan.input_schema())
    }

    /// The fitted feature set; `None` for a model that takes tensors.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    /// How many rows share a batch, and how many wait.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// May requests share a run?
    #[must_use]
    pub fn merges(&self) -> bool {
        self.merge
    }

    /// What it has done since it was loaded.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.counters.snapshot(self.batcher.statistics())
    }

    /// A stage of a request took this long: for the stages that whoever serves the model sees.
    pub fn took(&self, stage: Stage, time: Duration) {
        self.counters.stage(stage, time);
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// A request was refused at the door: counts it, and says when it might be let in.
    pub(crate) fn turned_away(&self, reason: Reason) -> Refusal {
        self.batcher.turn_away(reason)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The baseline that it is watched against.
    pub(crate) fn baseline(&self) -> Option<Arc<Baseline>> {
        self.observed.watch().map(Watch::baseline)
    }

    /// What it predicts, where labels are held against it.
    pub(crate) fn task(&self) -> Option<&Task> {
        self.observed.task()
    }

    /// Another instance of it, which counts nowhere; `None` where only one can be.
    pub(crate) fn another_executor(&self) -> Result<Option<Executor>> {
        let Some(spare) = &self.spare else {
            return Ok(None);
        };
        let spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
        let another = spare.another()?;
        Ok(another.map(|mut executor| {
            executor.count_in(Arc::new(Counters::new()));
            executor
        }))
    }

    /// The columns of an answer, and what they are.
    pub(crate) fn read(&self, outputs: &[Tensor]) -> Result<(Arc<[OutputColumn]>, TableBuf)> {
        let answers = self.observed.read(outputs)?;
        Ok((self.observed.known_columns(), answers))
    }

    /// The numbers of each row that a label is held against; `None` for answers that are no decisions.
    pub(crate) fn numbers(&self, columns: &[OutputColumn], answers: &TableBuf) -> Option<Vec<f64>> {
        self.observed.numbers(columns, answers)
    }

    fn watching(&self) -> Result<&Watch> {
        self.observed.watch().ok_or_else(|| {
            Error::not_found(format!(
                "model {:?} is not watched: its bundle has no baseline, or watching is off",
                self.name
            ))
        })
    }

    /// Says what is done about rows that break the rules of the bundle.
    ///
    /// # Errors
    /// `NotFound` for a model without rules about single rows.
    pub fn set_guard(&self, policy: Policy) -> Result<()> {
        let guard = self.guard.as_ref().ok_or_else(|| no_rules(&self.name))?;
        guard.set_policy(policy);
        Ok(())
    }

    /// Rows that failed in the model or broke a rule lately, a few of each, the newest first: as they
    /// were sent, but for what the rules of the prediction log let nobody read.
    #[must_use]
    pub fn failed_rows(&self) -> Vec<FailedRow> {
        self.failures.newest()
    }

    /// Counts a request that was refused before it came here, if it was for a value of a wrong type.
    pub fn refused_value(&self, error: &Error) {
        if let Some(column) = &error.mistyped {
            self.mistyped(column);
        }
    }

    /// Counts a request that was refused before it came here because a column had a value of a wrong
    /// type.
    pub fn mistyped(&self, column: &str) {
        if let Some(plan) = &self.plan {
            self.failures.mistyped(plan.input_schema(), column);
        }
    }

    /// The columns that had values of a wrong type, and in how many requests.
    #[must_use]
    pub fn mistyped_columns(&self) -> Vec<(String, u64)> {
        let plan = self.plan.as_ref();
        plan.map_or_else(Vec::new, |plan| {
            self.failures.mistyped_columns(plan.input_schema())
        })
    }

    /// What its guard has counted; `None` for a model without rules about single rows.
    #[must_use]
    pub fn guarded(&self) -> Option<Guarded> {
        self.guard.as_ref().map(ModelGuard::counted)
    }

    /// Is it watched?
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watching().is_ok()
    }

    /// Rows that were not watched, and await no label, because the observer was behind.
    #[must_use]
    pub fn observations_dropped(&self) -> u64 {
        self.observed.dropped()
    }

    /// Do its predictions wait for labels?
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.observed.is_followed()
    }

    /// Takes in labels and named numbers of this model's predictions, whatever the version. All
    /// answers given before are known; what is taken in survives the process, if a folder does.
    ///
    /// # Errors
    /// `NotFound` for a model whose predictions are not kept.
    pub fn feedback(&self, entries: &[Entry<'_>]) -> Result<Received> {
        self.check_followed()?;
        self.shared.observer.flush();
        let now = self.shared.now();
        Ok(self.shared.book.feedback(&self.name, entries, now))
    }

    /// The quality of all versions of this model, after all answers given before.
    ///
    /// # Errors
    /// `NotFound` for a model whose predictions are not kept.
    pub fn quality(&self) -> Result<ModelQuality> {
        self.check_followed()?;
        self.shared.observer.flush();
        Ok(self.shared.book.report(&self.name))
    }

    fn check_followed(&self) -> Result<()> {
        self.shared.check_open()?;
        if self.is_followed() {
            return Ok(());
        }
        Err(no_quality(&self.name))
    }

    /// The windows of watched rows, or of those of one segment, after all answers given before have
    /// been counted.
    ///
    /// # Errors
    /// `NotFound` for a model that is not watched, and for a segment that is not told apart.
    pub fn drift_report(&self, segment: Option<&str>) -> Result<Report> {
        let watch = self.watching()?;
        self.shared.check_open()?;
        self.shared.observer.flush();
        let mut report = watch.report(segment, self.shared.now())?;
        // Of what could not be read nobody knows the segment.
        if segment.is_none() {
            let found = self.mistyped_columns().into_iter();
            let column = |(name, requests)| MistypedColumn { name, requests };
            report.mistyped = found.map(column).collect();
        }
        Ok(report)
    }

    /// The windows of watched rows as text, for the reports of several replicas as one.
    ///
    /// # Errors
    /// `NotFound` for a model that is not watched.
    pub fn drift_snapshot(&self) -> Result<String> {
        let watch = self.watching()?;
        self.shared.check_open()?;
        self.shared.observer.flush();
        Ok(watch.snapshot(self.shared.now()))
    }

    /// The report of the windows of several replicas, or of one segment of them, and what is wrong
    /// with those left out.
    ///
    /// # Errors
    /// As [`Model::drift_report`].
    pub fn merged_drift(
        &self,
        snapshots: &[String],
        segment: Option<&str>,
    ) -> Result<(Report, Vec<String>)> {
        let watch = self.watching()?;
        watch.merged(snapshots, segment, self.shared.now())
    }

    /// Closes the open window now and labels it; false when it has no rows.
    ///
    /// # Errors
    /// `NotFound` for a model that is not watched; `InvalidInput` for a label that is too long.
    pub fn close_window(&self, label: Option<&str>) -> Result<bool> {
        let watch = self.watching()?;
        self.shared.check_open()?;
        self.shared.observer.flush();
        watch.close(self.shared.now(), label)
    }

    /// The last closed window, and the positions of the columns with an alarm.
    pub(crate) fn latest_window(&self) -> Option<(WindowReport, Vec<usize>)> {
        self.watching()
            .ok()
            .and_then(|watch| watch.latest(self.shared.now()))
    }

    /// Answers what waits and refuses what comes.
    pub(crate) fn close(&self) {
        self.batcher.close();
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if self.shared.is_forked() {
            // The thread is not in this process, and a lock may be held by one that is not.
            std::mem::forget(Arc::clone(&self.batcher));
            std::mem::forget(Arc::clone(&self.vigil));
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// As many instances as are asked for, or as cores allow.
fn instances(first: Executor, asked: Option<usize>) -> Result<Vec<Executor>> {
    let count = asked.unwrap_or_else(instances_by_cores);
    let mut instances = Vec::with_capacity(count);
    for _ in 1..count {
        match first.another()? {
            Some(another) => instances.push(another),
            None if asked.is_some() => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{count} instances of a backend that can be only one: ask for 1"),
                ));
            }
            None => break,
        }
    }
    instances.push(first);
    Ok(instances)
}

/// Systems cut thread names at 15 bytes, so the model comes first.
fn thread_name(name: &str) -> String {
    let short: String = name.chars().filter(|c| *c != '\0').take(12).collect();
    format!("tg-{short}")
}
