//! What waits in a model's queue, and what runs it: merges requests along the first dimension,
//! runs the model once, and gives each request its own rows back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_batching::{Execute, Reason, Refusal, Refused, Work};
use tidegate_schema::{Error, ErrorKind, Result, Tensor, TensorData};

use crate::alarms::Alarms;
use crate::backend::{Backend, Slab};
use crate::metrics::{Counters, Stage};
use crate::options::CallOptions;

/// Called once with the outputs of a request, or with the reason why there are none.
pub(crate) type Reply = Box<dyn FnOnce(Result<Vec<Tensor>>) + Send>;

/// A reply that is called at the deadline if there is no outcome until then, because the model is
/// busy or hangs. The outcome that comes later is dropped: of what still waits it is a refusal.
pub(crate) fn at_the_latest(alarms: &Alarms, deadline: Instant, reply: Reply) -> Reply {
    let place = Arc::new(Mutex::new(Some(reply)));
    let waiting = Arc::downgrade(&place);
    let take = |place: &Mutex<Option<Reply>>| {
        let mut reply = place.lock().unwrap_or_else(PoisonError::into_inner);
        reply.take()
    };
    let alarm = alarms.set(deadline, move || {
        if let Some(reply) = waiting.upgrade().and_then(|place| take(&place)) {
            reply(Err(late_error()));
        }
    });
    Box::new(move |outcome| {
        drop(alarm);
        if let Some(reply) = take(&place) {
            reply(outcome);
        }
    })
}

/// One input of a request: the extent of each dimension and the elements.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub shape: Vec<usize>,
    pub data: TensorData,
}

impl Block {
    pub fn slab(&self) -> Slab<'_> {
        Slab {
            shape: &self.shape,
            data: &self.data,
        }
    }
}

/// A request in the queue. Whatever happens to it, its reply is called exactly once.
pub(crate) struct Job {
    /// In the order of the model's inputs.
    inputs: Vec<Block>,
    /// Rows that it brings to a batch.
    rows: usize,
    /// May it share a batch? Only if every input's first dimension is its `rows`.
    mergeable: bool,
    cancelled: Arc<AtomicBool>,
    urgency: Urgency,
    queued: Instant,
    reply: Option<Reply>,
}

/// How soon an answer is due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Urgency {
    pub deadline: Option<Instant>,
    pub waited: Duration,
    pub priority: u32,
}

impl Urgency {
    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl From<&CallOptions> for Urgency {
    fn from(options: &CallOptions) -> Self {
        Self {
            deadline: options.deadline,
            waited: options.waited,
            priority: options.priority,
        }
    }
}

impl Job {
    pub fn new(
        inputs: Vec<Block>,
        rows: usize,
        mergeable: bool,
        cancelled: Arc<AtomicBool>,
        urgency: Urgency,
        reply: Reply,
    ) -> Self {
        Self {
            inputs,
            rows,
            mergeable,
            cancelled,
            urgency,
            queued: Instant::now(),
            reply: Some(reply),
        }
    }

    /// Calls the reply; a panic in it is the caller's and must not end the batch.
    pub fn answer(mut self, outcome: Result<Vec<Tensor>>) {
        self.deliver(outcome);
    }

    fn deliver(&mut self, outcome: Result<Vec<Tensor>>) {
        if let Some(reply) = self.reply.take() {
            let _ = catch_unwind(AssertUnwindSafe(|| reply(outcome)));
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.reply.is_none() {
            return;
        }
        let error = if self.cancelled.load(Ordering::Relaxed) {
            cancelled_error()
        } else if self.urgency.is_late() {
            late_error()
        } else {
            Error::internal("the request was dropped without an answer")
        };
        self.deliver(Err(error));
    }
}

fn cancelled_error() -> Error {
    Error::new(ErrorKind::Cancelled, "the request was cancelled")
}

/// Said with an error after which to try again, where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request that could have been executed was not, for whoever sent it.
pub(crate) fn refusal_error(refusal: &Refusal, urgency: Urgency) -> Error {
    let what = match refusal.reason {
        Reason::Abandoned => return cancelled_error(),
        Reason::Deadline if urgency.is_late() => return late_error(),
        Reason::Closed => {
            return Error::new(ErrorKind::Closed, "the model is being unloaded");
        }
        Reason::TooLarge => {
            let message = "the request is more than the queue of the model may hold (max_queue_rows, max_queue_bytes): send fewer rows at once";
            return Error::new(ErrorKind::TooLarge, message);
        }
        Reason::Rows | Reason::Bytes => "the queue of the model is full",
        Reason::Deadline => "the model is too busy to answer in time",
        Reason::Delay => "the request would wait too long for the model",
    };
    Error::new(
        ErrorKind::Overloaded,
        format!("{what}: try again later, or send less"),
    )
    .retry_after(refusal.retry_after.unwrap_or(RETRY_AFTER))
}

pub(crate) fn late_error() -> Error {
    Error::new(
        ErrorKind::Deadline,
        "the deadline passed before the model answered: allow more time, or send less",
    )
}

impl Work for Job {
    fn rows(&self) -> usize {
        self.rows
    }

    fn compatible(&self, other: &Self) -> bool {
        self.mergeable
            && other.mergeable
            && self.inputs.len() == other.inputs.len()
            && self.inputs.iter().zip(&other.inputs).all(|(a, b)| {
                a.data.datatype() == b.data.datatype() && a.shape.get(1..) == b.shape.get(1..)
            })
    }

    fn bytes(&self) -> usize {
        self.inputs.iter().map(|block| block.data.bytes()).sum()
    }

    fn arrived(&self) -> Instant {
        self.queued
    }

    fn waited(&self) -> Duration {
        self.urgency.waited
    }

    fn deadline(&self) -> Option<Instant> {
        self.urgency.deadline
    }

    fn priority(&self) -> u32 {
        self.urgency.priority
    }

    fn abandoned(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn refuse(refused: Refused<Self>) {
        let Refused { work, refusal } = &refused;
        let error = refusal_error(refusal, work.urgency);
        refused.work.answer(Err(error));
    }
}

/// Runs batches on a backend.
pub(crate) struct Executor {
    backend: Box<dyn Backend>,
    counters: Arc<Counters>,
    /// Outputs must have the rows of the inputs, whatever the request: true behind a feature set.
    rowwise: bool,
    /// Cleared for good when a merged run gave outputs of another number of rows.
    merges: bool,
    /// Buffers of merged f32 inputs, kept between batches.
    spare: Vec<Vec<f32>>,
}

/// Most buffers that are kept: the inputs of one batch.
const MAX_SPARE: usize = 8;

impl Executor {
    pub fn new(backend: Box<dyn Backend>, counters: Arc<Counters>, rowwise: bool) -> Self {
        Self {
            backend,
            counters,
            rowwise,
            merges: true,
            spare: Vec::new(),
        }
    }

    /// Another instance of the same model; `None` where the backend can only be one.
    pub fn another(&self) -> Result<Option<Self>> {
        let another = self.backend.another()?;
        Ok(another.map(|backend| Self::new(backend, Arc::clone(&self.counters), self.rowwise)))
    }

    /// Counts in these counters from now on: what was run to prove a bundle is counted nowhere.
    pub fn count_in(&mut self, counters: Arc<Counters>) {
        self.counters = counters;
    }

    /// Runs one request by itself.
    pub fn run_one(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        let outputs = self.timed_run(inputs)?;
        if self.rowwise {
            let rows = inputs.first().and_then(|slab| slab.shape.first());
            check_rows(&outputs, rows.copied().unwrap_or(1))?;
        }
        Ok(outputs)
    }

    fn timed_run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.backend.run(inputs)))
            .unwrap_or_else(|_| Err(Error::internal("the backend panicked")));
        self.counters.stage(Stage::Backend, begin.elapsed());
        outcome
    }

    /// Runs the jobs as one batch; a batch that fails is halved until the culprit fails alone.
    fn run_jobs(&mut self, mut jobs: Vec<Job>) {
        if jobs.len() > 1 && self.merges {
            match self.run_merged(&jobs) {
                Ok(answers) => {
                    for (job, outputs) in jobs.into_iter().zip(answers) {
                        job.answer(Ok(outputs));
                    }
                }
                Err(_) => {
                    let tail = jobs.split_off(jobs.len() / 2);
                    self.run_jobs(jobs);
                    self.run_jobs(tail);
                }
            }
            return;
        }
        for job in jobs {
            let outcome = match job.inputs.as_slice() {
                [only] => self.run_one(&[only.slab()]),
                several => {
                    let slabs: Vec<Slab<'_>> = several.iter().map(Block::slab).collect();
                    self.run_one(&slabs)
                }
            };
            job.answer(outcome);
        }
    }

    fn run_merged(&mut self, jobs: &[Job]) -> Result<Vec<Vec<Tensor>>> {
        let rows: usize = jobs.iter().map(|job| job.rows).sum();
        let blocks = self.merge(jobs, rows)?;
        let outcome = {
            let slabs: Vec<Slab<'_>> = blocks.iter().map(Block::slab).collect();
            self.timed_run(&slabs)
        };
        for block in blocks {
            if let TensorData::Fp32(values) = block.data
                && self.spare.len() < MAX_SPARE
            {
                self.spare.push(values);
            }
        }
        let outputs = outcome?;
        if let Err(error) = check_rows(&outputs, rows) {
            // Behind a feature set every row is an answer, and the model is at fault. Otherwise
            // the model only is not one that treats rows apart: never merge for it again.
            self.merges = self.rowwise;
            return Err(error);
        }
        let mut start = 0;
        Ok(jobs
            .iter()
            .map(|job| {
                let own = outputs
                    .iter()
                    .map(|output| output.slice_rows(start, job.rows))
                    .collect();
                start += job.rows;
                own
            })
            .collect())
    }

    fn merge(&mut self, jobs: &[Job], rows: usize) -> Result<Vec<Block>> {
        let Some(first) = jobs.first() else {
            return Ok(Vec::new());
        };
        let mut blocks = Vec::with_capacity(first.inputs.len());
        for (position, model) in first.inputs.iter().enumerate() {
            let elements = jobs
                .iter()
                .filter_map(|job| job.inputs.get(position))
                .map(|block| block.data.len())
                .sum();
            let mut data = match (&model.data, self.spare.pop()) {
                (TensorData::Fp32(_), Some(mut values)) => {
                    values.clear();
                    values.reserve(elements);
                    TensorData::Fp32(values)
                }
                (other, _) => TensorData::with_capacity(other.datatype(), elements),
            };
            for block in jobs.iter().filter_map(|job| job.inputs.get(position)) {
                data.extend_from(&block.data, 0, block.data.len())?;
            }
            let mut shape = model.shape.clone();
            if let Some(extent) = shape.first_mut() {
                *extent = rows;
            }
            blocks.push(Block { shape, data });
        }
        Ok(blocks)
    }
}

fn check_rows(outputs: &[Tensor], rows: usize) -> Result<()> {
    for output in outputs {
        if output.shape.first() != Some(&rows) {
            return Err(Error::new(
                ErrorKind::Backend,
                format!(
                    "the model gave output {:?} of shape {:?} for {rows} rows: its first dimension must be the rows",
                    output.name, output.shape
                ),
            ));
        }
    }
    Ok(())
}

impl Execute<Job> for Executor {
    fn execute(&mut self, batch: Vec<Job>) {
        let now = Instant::now();
        for job in &batch {
            self.counters
                .stage(Stage::Queue, now.saturating_duration_since(job.queued));
        }
        self.run_jobs(batch);
    }
}
