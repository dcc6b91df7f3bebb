//! One loaded version of a model: what it takes and gives, and how it is asked.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate_batching::{Batcher, Limits, Reason};
use tidegate_drift::{Report, WindowReport};
use tidegate_features::Plan;
use tidegate_protocol::columns;
use tidegate_schema::{Error, ErrorKind, Result, Schema, Table, TableBuf, Tensor, TensorData};

use crate::TensorInfo;
use crate::admit::{admit, variable_rows};
use crate::answer::{Answer, Input};
use crate::backend::{Backend, Slab};
use crate::bundle::{Kind, Manifest};
use crate::metrics::{Counters, Stage, Statistics};
use crate::options::{CallOptions, LoadOptions};
use crate::park::Parked;
use crate::path::features;
use crate::shared::Shared;
use crate::split::{Gather, cut, stack};
use crate::ticket::Ticket;
use crate::watch::Watch;
use crate::work::{Block, Executor, Job, Reply, late_error};

/// Most floats of a thread's matrix that is kept between requests.
const KEPT_FLOATS: usize = 1 << 20;

thread_local! {
    /// The matrix of this thread's last request, to be used again.
    static MATRIX: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

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
    limits: Limits,
    /// May requests share a run?
    merge: bool,
    watch: Option<Arc<Watch>>,
    counters: Arc<Counters>,
    revision: AtomicU64,
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
    pub watch: Option<Arc<Watch>>,
    pub backend: Box<dyn Backend>,
}

impl Model {
    /// `prove` is run on the path before anything is counted.
    pub(crate) fn new(
        shared: Arc<Shared>,
        made_of: Ingredients,
        options: &LoadOptions,
        prove: impl FnOnce(&mut Executor) -> Result<()>,
    ) -> Result<Arc<Self>> {
        let Ingredients {
            name,
            version,
            bundle,
            plan,
            watch,
            backend,
        } = made_of;
        let outputs = backend.outputs().to_vec();
        let merge = match &plan {
            Some(_) => true,
            None => options.merge && variable_rows(backend.inputs(), &outputs),
        };
        let inputs = match &plan {
            Some(plan) => columns::signature(plan.input_schema()),
            None => backend.inputs().to_vec(),
        };
        let counters = Arc::new(Counters::new());
        let mut executor = Executor::new(backend, Arc::new(Counters::new()), plan.is_some());
        prove(&mut executor)?;
        executor.count_in(Arc::clone(&counters));
        let batcher = Batcher::new(&thread_name(&name), executor, options.limits)
            .map_err(|error| Error::new(ErrorKind::Backend, format!("model {name:?}: {error}")))?;
        Ok(Arc::new(Self {
            shared,
            name,
            version,
            bundle,
            inputs,
            outputs,
            plan,
            batcher,
            limits: options.limits,
            merge,
            watch,
            counters,
            revision: AtomicU64::new(0),
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

    /// The revision of its deployment; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    pub(crate) fn deployed(&self, revision: u64) {
        self.revision.store(revision, Ordering::Relaxed);
    }

    /// Answers a request, in this thread if the model is idle; else waits for its turn.
    ///
    /// # Errors
    /// `InvalidInput` that names what does not fit; `Overloaded` when the queue is full;
    /// `Deadline`; `Backend` when the model fails; `Closed`.
    pub fn predict(self: &Arc<Self>, input: Input, options: &CallOptions) -> Result<Answer> {
        let begin = Instant::now();
        let outcome = match (&self.plan, input) {
            (Some(plan), input) => self.rows_of(plan, input).and_then(|table| {
                let outputs = self.table_outputs(plan, &table.view()?, options.deadline)?;
                Ok((table.rows(), outputs, Some(table)))
            }),
            (None, Input::Tensors(tensors)) => self
                .tensor_outputs(tensors, options.deadline)
                .map(|(rows, outputs)| (rows, outputs, None)),
            (None, Input::Table(_)) => Err(self.no_columns()),
        };
        let outcome = outcome.map(|(rows, outputs, table)| {
            if let Some(table) = table
                && let Some(watch) = self.watch.as_ref().filter(|_| options.watch)
            {
                let seen = outputs.clone();
                self.shared
                    .observer
                    .push(watch, table, seen, self.shared.now());
            }
            (rows, outputs)
        });
        self.conclude(begin, outcome)
    }

    /// As [`Model::predict`] for borrowed columns, in pieces of at most a batch. They are watched
    /// in this thread, since they are not kept.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_table(
        self: &Arc<Self>,
        table: &Table<'_>,
        options: &CallOptions,
    ) -> Result<Answer> {
        let begin = Instant::now();
        let outcome = match &self.plan {
            None => Err(self.no_columns()),
            Some(plan) => self.table_outputs(plan, table, options.deadline),
        };
        let outcome = outcome.map(|outputs| {
            if let Some(watch) = self.watch.as_ref().filter(|_| options.watch) {
                match watch.read(&outputs) {
                    Ok(answers) => watch.observe(table, &answers, self.shared.now()),
                    Err(_) => watch.drop_rows(table.rows()),
                }
            }
            (table.rows(), outputs)
        });
        self.conclude(begin, outcome)
    }

    /// Puts a request into the queue; `done` is called exactly once, in whichever thread answers:
    /// in this one for a request that is refused. Call [`Model::flush`] when all that has arrived
    /// is submitted. What is watched is handed over just before `done`, and counted by another
    /// thread.
    ///
    /// `done` must be quick and must not wait for another answer of this model: while it runs the
    /// model does not.
    pub fn submit(
        self: &Arc<Self>,
        input: Input,
        options: &CallOptions,
        done: impl FnOnce(Result<Answer>) + Send + 'static,
    ) -> Ticket {
        let begin = Instant::now();
        let cancelled = Arc::new(AtomicBool::new(false));
        let ticket = Ticket::new(Arc::clone(&cancelled));
        let prepared = self.shared.check_open().and_then(|()| self.prepare(input));
        match prepared {
            Err(error) => done(self.conclude(begin, Err(error))),
            Ok(prepared) => {
                let Prepared {
                    blocks,
                    rows,
                    rowwise,
                    table,
                } = prepared;
                let model = Arc::clone(self);
                let watched = options.watch;
                let reply: Reply = Box::new(move |outcome| {
                    model.finish(begin, rows, table.filter(|_| watched), outcome, done);
                });
                self.enqueue(blocks, rows, rowwise, &cancelled, options.deadline, reply);
            }
        }
        ticket
    }

    /// The end of an event loop's turn: what was submitted may run now, in this thread if that
    /// is known to be quick.
    pub fn flush(&self) {
        self.batcher.flush();
    }

    /// What it has done since it was loaded.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.counters.snapshot(self.batcher.statistics())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn watching(&self) -> Result<&Arc<Watch>> {
        self.watch.as_ref().ok_or_else(|| {
            Error::not_found(format!(
                "model {:?} is not watched: its bundle has no baseline, or watching is off",
                self.name
            ))
        })
    }

    /// Is it watched?
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// Rows that were not watched because the observer was behind.
    #[must_use]
    pub fn observations_dropped(&self) -> u64 {
        self.watch.as_ref().map_or(0, |watch| watch.dropped())
    }

    /// The windows of watched rows, after all answers given before have been counted.
    ///
    /// # Errors
    /// `NotFound` for a model that is not watched.
    pub fn drift_report(&self) -> Result<Report> {
        let watch = self.watching()?;
        self.shared.check_open()?;
        self.shared.observer.flush();
        Ok(watch.report(self.shared.now()))
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

    pub(crate) fn latest_window(&self) -> Option<WindowReport> {
        self.watch
            .as_ref()
            .and_then(|watch| watch.latest(self.shared.now()))
    }

    /// Answers what waits and refuses what comes.
    pub(crate) fn close(&self) {
        self.batcher.close();
    }
}

/// A request as blocks, and what of it is to be watched.
struct Prepared {
    blocks: Vec<Block>,
    rows: usize,
    rowwise: bool,
    table: Option<TableBuf>,
}

impl Model {
    fn no_columns(&self) -> Error {
        let names: Vec<&str> = self.inputs.iter().map(|info| info.name.as_str()).collect();
        Error::invalid(format!(
            "model {:?} has no feature set and takes no columns: send its tensors {}",
            self.name,
            names.join(", ")
        ))
    }

    fn rows_of(&self, plan: &Plan, input: Input) -> Result<TableBuf> {
        match input {
            Input::Table(table) => Ok(table),
            Input::Tensors(tensors) => columns::from_tensors(&tensors, plan.input_schema()),
        }
    }

    fn check_table(&self, plan: &Plan, table: &Table<'_>) -> Result<()> {
        self.shared.check_open()?;
        if table.rows() == 0 {
            return Err(Error::invalid("the request has no rows: send at least one"));
        }
        table.check(plan.input_schema())
    }

    fn prepare(&self, input: Input) -> Result<Prepared> {
        match (&self.plan, input) {
            (Some(plan), input) => {
                let table = self.rows_of(plan, input)?;
                let rows = table.rows();
                let mut matrix = Vec::new();
                {
                    let view = table.view()?;
                    self.check_table(plan, &view)?;
                    self.compute(plan, &view, &mut matrix)?;
                }
                Ok(Prepared {
                    blocks: vec![Block {
                        shape: vec![rows, plan.width()],
                        data: TensorData::Fp32(matrix),
                    }],
                    rows,
                    rowwise: true,
                    table: self.watch.is_some().then_some(table),
                })
            }
            (None, Input::Table(_)) => Err(self.no_columns()),
            (None, Input::Tensors(tensors)) => {
                let admitted = admit(tensors, &self.inputs)?;
                Ok(Prepared {
                    blocks: admitted.blocks,
                    rows: admitted.rows,
                    rowwise: self.merge && admitted.rowwise,
                    table: None,
                })
            }
        }
    }

    fn compute(&self, plan: &Plan, table: &Table<'_>, matrix: &mut Vec<f32>) -> Result<()> {
        let begin = Instant::now();
        features(plan, table, matrix)?;
        self.counters.stage(Stage::Features, begin.elapsed());
        Ok(())
    }

    fn table_outputs(
        &self,
        plan: &Plan,
        table: &Table<'_>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Tensor>> {
        self.check_table(plan, table)?;
        let most = self.limits.max_batch_rows;
        if table.rows() <= most {
            return self.piece(plan, table, deadline);
        }
        let mut pieces = Vec::with_capacity(table.rows().div_ceil(most));
        for start in (0..table.rows()).step_by(most) {
            let rows = most.min(table.rows() - start);
            pieces.push(self.piece(plan, &table.slice(start, rows), deadline)?);
        }
        stack(pieces)
    }

    /// At most a batch of rows.
    fn piece(
        &self,
        plan: &Plan,
        table: &Table<'_>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Tensor>> {
        check_time(deadline)?;
        let mut matrix = MATRIX.take();
        self.compute(plan, table, &mut matrix)?;
        let rows = table.rows();
        let shape = [rows, plan.width()];
        let data = TensorData::Fp32(matrix);
        let slab = [Slab {
            shape: &shape,
            data: &data,
        }];
        let direct = self
            .batcher
            .try_direct_rows(rows, |executor| executor.run_one(&slab));
        match direct {
            Some(outcome) => {
                if let TensorData::Fp32(matrix) = data
                    && matrix.capacity() <= KEPT_FLOATS
                {
                    MATRIX.set(matrix);
                }
                outcome
            }
            None => {
                let blocks = vec![Block {
                    shape: shape.to_vec(),
                    data,
                }];
                self.wait(blocks, rows, true, deadline)
            }
        }
    }

    fn tensor_outputs(
        &self,
        tensors: Vec<Tensor>,
        deadline: Option<Instant>,
    ) -> Result<(usize, Vec<Tensor>)> {
        self.shared.check_open()?;
        let admitted = admit(tensors, &self.inputs)?;
        let (rows, most) = (admitted.rows, self.limits.max_batch_rows);
        let rowwise = self.merge && admitted.rowwise;
        if !rowwise || rows <= most {
            let outputs = self.direct(admitted.blocks, rows, rowwise, deadline)?;
            return Ok((rows, outputs));
        }
        let mut pieces = Vec::with_capacity(rows.div_ceil(most));
        for start in (0..rows).step_by(most) {
            let count = most.min(rows - start);
            let blocks = cut(&admitted.blocks, start, count);
            pieces.push(self.direct(blocks, count, true, deadline)?);
        }
        Ok((rows, stack(pieces)?))
    }

    fn direct(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        deadline: Option<Instant>,
    ) -> Result<Vec<Tensor>> {
        check_time(deadline)?;
        let outcome = {
            let slabs: Vec<Slab<'_>> = blocks.iter().map(Block::slab).collect();
            self.batcher
                .try_direct_rows(rows, |executor| executor.run_one(&slabs))
        };
        match outcome {
            Some(outcome) => outcome,
            None => self.wait(blocks, rows, rowwise, deadline),
        }
    }

    /// Queues a request and waits for its answer.
    fn wait(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        deadline: Option<Instant>,
    ) -> Result<Vec<Tensor>> {
        let parked = Arc::new(Parked::default());
        let cancelled = Arc::new(AtomicBool::new(false));
        self.push(blocks, rows, rowwise, &cancelled, deadline, parked.reply());
        self.batcher.flush();
        parked.wait(deadline).unwrap_or_else(|| {
            cancelled.store(true, Ordering::Relaxed);
            Err(late_error())
        })
    }

    /// Queues a request, in pieces if it has more rows than a batch.
    fn enqueue(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        cancelled: &Arc<AtomicBool>,
        deadline: Option<Instant>,
        reply: Reply,
    ) {
        let most = self.limits.max_batch_rows;
        if !rowwise || rows <= most {
            self.push(blocks, rows, rowwise, cancelled, deadline, reply);
            return;
        }
        if rows > self.limits.max_queue_rows {
            reply(Err(self.too_large(rows)));
            return;
        }
        // The failure of one piece cancels the others, not the caller's ticket.
        let gather = Gather::new(rows.div_ceil(most), Arc::clone(cancelled), reply);
        for (position, start) in (0..rows).step_by(most).enumerate() {
            let count = most.min(rows - start);
            self.push(
                cut(&blocks, start, count),
                count,
                true,
                cancelled,
                deadline,
                gather.piece(position),
            );
        }
    }

    fn push(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        cancelled: &Arc<AtomicBool>,
        deadline: Option<Instant>,
        reply: Reply,
    ) {
        let cancelled = Arc::clone(cancelled);
        let job = Job::new(blocks, rows, rowwise, cancelled, deadline, reply);
        if let Err(refused) = self.batcher.enqueue(job) {
            let error = match refused.reason {
                Reason::Full => Error::new(
                    ErrorKind::Overloaded,
                    format!(
                        "the queue of model {:?} is full ({} rows): try again later",
                        self.name, self.limits.max_queue_rows
                    ),
                ),
                Reason::Closed => Error::new(
                    ErrorKind::Closed,
                    format!("model {:?} is being unloaded", self.name),
                ),
                Reason::TooLarge => self.too_large(rows),
            };
            refused.work.answer(Err(error));
        }
    }

    fn too_large(&self, rows: usize) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!(
                "the request has {rows} rows where the queue of model {:?} holds {}: send fewer rows at once",
                self.name, self.limits.max_queue_rows
            ),
        )
    }

    fn finish(
        self: &Arc<Self>,
        begin: Instant,
        rows: usize,
        table: Option<TableBuf>,
        outcome: Result<Vec<Tensor>>,
        done: impl FnOnce(Result<Answer>),
    ) {
        // Handed over before the answer, counted after it: whoever has an answer and asks for the
        // drift finds its own rows there.
        if let (Ok(outputs), Some(watch), Some(table)) = (&outcome, &self.watch, table) {
            let seen = outputs.clone();
            self.shared
                .observer
                .push(watch, table, seen, self.shared.now());
        }
        done(self.conclude(begin, outcome.map(|outputs| (rows, outputs))));
    }

    /// Counts a request and dresses its outputs.
    fn conclude(
        self: &Arc<Self>,
        begin: Instant,
        outcome: Result<(usize, Vec<Tensor>)>,
    ) -> Result<Answer> {
        let elapsed: Duration = begin.elapsed();
        match outcome {
            Ok((rows, outputs)) => {
                self.counters.succeeded(rows, elapsed, self.shared.now());
                Ok(Answer {
                    outputs,
                    prediction_id: self.shared.ids.next(),
                    revision: self.revision(),
                    model: Arc::clone(self),
                })
            }
            Err(error) => {
                self.counters.failed(error.kind, elapsed);
                Err(error)
            }
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if self.shared.is_forked() {
            // The thread is not in this process, and a lock may be held by one that is not.
            std::mem::forget(Arc::clone(&self.batcher));
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

fn check_time(deadline: Option<Instant>) -> Result<()> {
    match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(late_error()),
        _ => Ok(()),
    }
}

/// Systems cut thread names at 15 bytes, so the model comes first.
fn thread_name(name: &str) -> String {
    let short: String = name.chars().filter(|c| *c != '\0').take(12).collect();
    format!("tg-{short}")
}
