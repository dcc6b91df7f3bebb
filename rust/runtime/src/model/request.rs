//! The ways of a request: in the caller's thread, or through the queue.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidegate_batching::{Refusal, Terms};
use tidegate_features::Plan;
use tidegate_protocol::columns;
use tidegate_schema::{Error, Result, Table, TableBuf, Tensor, TensorData};

use super::Model;
use super::answered::{Called, Kept};
use crate::admit::admit;
use crate::answer::{Answer, Input};
use crate::backend::Slab;
use crate::failures::Fault;
use crate::metrics::Stage;
use crate::options::CallOptions;
use crate::park::Parked;
use crate::path::{features, run_table};
use crate::split::{Gather, cut, owned, stack};
use crate::ticket::Ticket;
use crate::work::{Block, Executor, Job, Reply, Urgency, at_the_latest, late_error, refusal_error};

/// Most floats of a thread's matrix that is kept between requests.
const KEPT_FLOATS: usize = 1 << 20;

thread_local! {
    /// The matrix of this thread's last request, to be used again.
    static MATRIX: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A request as blocks, and what of it is to be watched.
struct Prepared {
    blocks: Vec<Block>,
    rows: usize,
    rowwise: bool,
    kept: Kept,
}

impl Model {
    /// Answers a request, in this thread if the model is idle; else waits for its turn.
    ///
    /// # Errors
    /// `InvalidInput` that names what does not fit; `Overloaded` when the queue is full;
    /// `Deadline`; `Backend` when the model fails; `Closed`.
    pub fn predict(self: &Arc<Self>, input: Input, options: &CallOptions) -> Result<Answer> {
        let begin = Instant::now();
        let called = Called::new(begin, options);
        let mut kept = Kept::default();
        let outcome = match (&self.plan, input) {
            (Some(plan), input) => self.rows_of(plan, input).and_then(|table| {
                let table = kept.table.insert(table);
                let outputs = self.table_outputs(plan, &table.view()?, options)?;
                Ok((table.rows(), outputs))
            }),
            (None, Input::Tensors(tensors)) => {
                self.tensor_outputs(tensors, options.into(), &called, &mut kept)
            }
            (None, Input::Table(_)) => Err(self.no_columns()),
        };
        match outcome {
            Ok((rows, outputs)) => Ok(self.answered(&called, rows, outputs, kept)),
            Err(error) => Err(self.failed(&called, kept.table.as_ref(), error)),
        }
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
            Some(plan) => self.table_outputs(plan, table, options),
        };
        let called = Called::new(begin, options);
        let outputs = outcome.map_err(|error| {
            let first = called.side().and_then(|_| owned(&table.slice(0, 1)).ok());
            self.failed(&called, first.as_ref(), error)
        })?;
        let (answer, seen) = self.dress(&called, table.rows(), outputs);
        if self.is_observed(&called) {
            let observed = &self.observed;
            match observed.read(&answer.outputs) {
                Ok(answers) => {
                    let seen = [seen];
                    observed.count(called.side(), Some(table), &answers, &seen);
                    if observed.is_logged() {
                        match owned(table) {
                            Ok(inputs) => observed.write(Some(inputs), answers, seen.into()),
                            Err(_) => observed.drop_rows(table.rows()),
                        }
                    }
                }
                Err(_) => observed.drop_rows(table.rows()),
            }
        }
        Ok(answer)
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
        let urgency = Urgency::from(options);
        let prepared = self.shared.check_open();
        let called = Called::new(begin, options);
        let prepared = prepared.and_then(|()| self.prepare(input, &called, urgency));
        match prepared {
            Err(error) => done(Err(self.failed(&called, None, error))),
            Ok(prepared) => {
                let Prepared {
                    blocks,
                    rows,
                    rowwise,
                    kept,
                } = prepared;
                let model = Arc::clone(self);
                let reply: Reply = Box::new(move |outcome| {
                    done(match outcome {
                        Ok(outputs) => Ok(model.answered(&called, rows, outputs, kept)),
                        Err(error) => {
                            if let Some(Ok(table)) = kept.table.as_ref().map(TableBuf::view) {
                                model.keep_example(&error, &table);
                            }
                            Err(model.failed(&called, kept.table.as_ref(), error))
                        }
                    });
                });
                let reply = match urgency.deadline {
                    None => reply,
                    Some(deadline) => at_the_latest(&self.shared.alarms, deadline, reply),
                };
                self.enqueue(blocks, rows, rowwise, &cancelled, urgency, reply);
            }
        }
        ticket
    }

    /// The end of an event loop's turn: what was submitted may run now, in this thread if that
    /// is known to be quick.
    pub fn flush(&self) {
        if let Some(due) = self.batcher.flush() {
            self.vigil.watch(due);
        }
    }

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

    /// Checks a request, and gives what is to be computed instead if the rules of the bundle have
    /// repaired it.
    fn check_table(&self, plan: &Plan, table: &Table<'_>) -> Result<Option<TableBuf>> {
        self.shared.check_open()?;
        if table.rows() == 0 {
            return Err(Error::invalid("the request has no rows: send at least one"));
        }
        table.check(plan.input_schema())?;
        match &self.guard {
            None => Ok(None),
            Some(guard) => guard.check(table, || {
                let (schema, now) = (plan.input_schema(), self.shared.now());
                let find = || guard.example(table);
                self.failures.keep(Fault::Rule, schema, table, now, find);
            }),
        }
    }

    fn prepare(&self, input: Input, called: &Called, urgency: Urgency) -> Result<Prepared> {
        match (&self.plan, input) {
            (Some(plan), input) => {
                let table = self.rows_of(plan, input)?;
                let rows = table.rows();
                self.knock(plan, rows, called.begin, urgency)?;
                let mut matrix = Vec::new();
                {
                    let view = table.view()?;
                    let computed = match self.check_table(plan, &view)? {
                        None => self.compute(plan, &view, &mut matrix),
                        Some(mended) => self.compute(plan, &mended.view()?, &mut matrix),
                    };
                    computed.inspect_err(|error| {
                        if called.watch() {
                            self.keep_example(error, &view);
                        }
                    })?;
                }
                Ok(Prepared {
                    blocks: vec![Block {
                        shape: vec![rows, plan.width()],
                        data: TensorData::Fp32(matrix),
                    }],
                    rows,
                    rowwise: true,
                    // Of probes nothing is kept, nor what they fail with.
                    kept: if called.watch() {
                        Kept::table(table)
                    } else {
                        Kept::default()
                    },
                })
            }
            (None, Input::Table(_)) => Err(self.no_columns()),
            (None, Input::Tensors(tensors)) => {
                let admitted = admit(tensors, &self.inputs)?;
                Ok(Prepared {
                    kept: Kept {
                        table: None,
                        copy: called.copy(&admitted.blocks),
                    },
                    blocks: admitted.blocks,
                    rows: admitted.rows,
                    rowwise: self.merge && admitted.rowwise,
                })
            }
        }
    }

    /// Would a request of one row be refused now that says nothing of its own urgency, and has
    /// waited so long unread? Then any would, and need not be decoded.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn ask(&self, waited: Duration) -> Result<()> {
        let urgency = Urgency {
            waited,
            ..Urgency::default()
        };
        let asked = self.batcher.ask(&Terms {
            rows: 1,
            bytes: 0,
            arrived: Instant::now(),
            waited,
            deadline: None,
            priority: urgency.priority,
        });
        asked.map_err(|refusal| {
            let error = self.refused(&refusal, urgency);
            self.counters.failed(error.kind, waited);
            error
        })
    }

    /// Refuses what the queue would refuse anyhow, before features are computed for it.
    fn knock(&self, plan: &Plan, rows: usize, arrived: Instant, urgency: Urgency) -> Result<()> {
        let asked = self.batcher.ask(&Terms {
            rows,
            bytes: rows * plan.width() * size_of::<f32>(),
            arrived,
            waited: urgency.waited,
            deadline: urgency.deadline,
            priority: urgency.priority,
        });
        asked.map_err(|refusal| self.refused(&refusal, urgency))
    }

    pub(crate) fn refused(&self, refusal: &Refusal, urgency: Urgency) -> Error {
        refusal_error(refusal, urgency).at(format_args!("model {:?}", self.name))
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
        options: &CallOptions,
    ) -> Result<Vec<Tensor>> {
        let outputs = match self.check_table(plan, table)? {
            Some(mended) => self.checked_outputs(plan, &mended.view()?, options.into()),
            None => self.checked_outputs(plan, table, options.into()),
        };
        outputs.inspect_err(|error| {
            if options.watch {
                self.keep_example(error, table);
            }
        })
    }

    fn checked_outputs(
        &self,
        plan: &Plan,
        table: &Table<'_>,
        urgency: Urgency,
    ) -> Result<Vec<Tensor>> {
        let most = self.limits.max_batch_rows;
        if table.rows() <= most {
            return self.piece(plan, table, urgency);
        }
        let most = self.batcher.piece_rows();
        let mut pieces = Vec::with_capacity(table.rows().div_ceil(most));
        for start in (0..table.rows()).step_by(most) {
            let rows = most.min(table.rows() - start);
            pieces.push(self.piece(plan, &table.slice(start, rows), urgency)?);
        }
        stack(pieces)
    }

    /// Runs a request in this thread if the model is idle. One with a deadline passes the queue,
    /// which knows whether it can be kept.
    fn try_direct(
        &self,
        rows: usize,
        urgency: Urgency,
        slabs: &[Slab<'_>],
    ) -> Option<Result<Vec<Tensor>>> {
        if urgency.deadline.is_some() {
            return None;
        }
        self.batcher
            .try_direct_rows(rows, |executor| executor.run_one(slabs))
    }

    /// At most a batch of rows.
    fn piece(&self, plan: &Plan, table: &Table<'_>, urgency: Urgency) -> Result<Vec<Tensor>> {
        check_time(urgency.deadline)?;
        let mut matrix = MATRIX.take();
        self.compute(plan, table, &mut matrix)?;
        let rows = table.rows();
        let shape = [rows, plan.width()];
        let data = TensorData::Fp32(matrix);
        let slab = [Slab {
            shape: &shape,
            data: &data,
        }];
        let direct = self.try_direct(rows, urgency, &slab);
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
                self.wait(blocks, rows, true, urgency)
            }
        }
    }

    fn tensor_outputs(
        &self,
        tensors: Vec<Tensor>,
        urgency: Urgency,
        called: &Called,
        kept: &mut Kept,
    ) -> Result<(usize, Vec<Tensor>)> {
        self.shared.check_open()?;
        let admitted = admit(tensors, &self.inputs)?;
        kept.copy = called.copy(&admitted.blocks);
        let (rows, most) = (admitted.rows, self.limits.max_batch_rows);
        let rowwise = self.merge && admitted.rowwise;
        if !rowwise || rows <= most {
            let outputs = self.direct(admitted.blocks, rows, rowwise, urgency)?;
            return Ok((rows, outputs));
        }
        let most = self.batcher.piece_rows();
        let mut pieces = Vec::with_capacity(rows.div_ceil(most));
        for start in (0..rows).step_by(most) {
            let count = most.min(rows - start);
            let blocks = cut(&admitted.blocks, start, count);
            pieces.push(self.direct(blocks, count, true, urgency)?);
        }
        Ok((rows, stack(pieces)?))
    }

    fn direct(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        urgency: Urgency,
    ) -> Result<Vec<Tensor>> {
        check_time(urgency.deadline)?;
        let outcome = {
            let slabs: Vec<Slab<'_>> = blocks.iter().map(Block::slab).collect();
            self.try_direct(rows, urgency, &slabs)
        };
        match outcome {
            Some(outcome) => outcome,
            None => self.wait(blocks, rows, rowwise, urgency),
        }
    }

    /// Queues a request and waits for its answer.
    fn wait(
        &self,
        blocks: Vec<Block>,
        rows: usize,
        rowwise: bool,
        urgency: Urgency,
    ) -> Result<Vec<Tensor>> {
        let parked = Arc::new(Parked::default());
        let cancelled = Arc::new(AtomicBool::new(false));
        self.push(blocks, rows, rowwise, &cancelled, urgency, parked.reply());
        self.flush();
        parked.wait(urgency.deadline).unwrap_or_else(|| {
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
        urgency: Urgency,
        reply: Reply,
    ) {
        let most = self.limits.max_batch_rows;
        if !rowwise || rows <= most {
            self.push(blocks, rows, rowwise, cancelled, urgency, reply);
            return;
        }
        let asked = self.batcher.ask(&Terms {
            rows,
            bytes: blocks.iter().map(|block| block.data.bytes()).sum(),
            arrived: Instant::now(),
            waited: urgency.waited,
            deadline: urgency.deadline,
            priority: urgency.priority,
        });
        if let Err(refusal) = asked {
            reply(Err(self.refused(&refusal, urgency)));
            return;
        }
        let most = self.batcher.piece_rows();
        // The failure of one piece cancels the others, not the caller's ticket.
        let gather = Gather::new(rows.div_ceil(most), Arc::clone(cancelled), reply);
        for (position, start) in (0..rows).step_by(most).enumerate() {
            let count = most.min(rows - start);
            self.push(
                cut(&blocks, start, count),
                count,
                true,
                cancelled,
                urgency,
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
        urgency: Urgency,
        reply: Reply,
    ) {
        let cancelled = Arc::clone(cancelled);
        let job = Job::new(blocks, rows, rowwise, cancelled, urgency, reply);
        if let Err(refused) = self.batcher.enqueue(job) {
            let error = self.refused(&refused.refusal, urgency);
            refused.work.answer(Err(error));
        }
    }

    /// The outputs of a shadow for a copy of a request, on an executor that nobody else uses.
    pub(crate) fn run_copy(
        &self,
        table: &TableBuf,
        executor: &mut Executor,
    ) -> Result<Vec<Tensor>> {
        let Some(plan) = &self.plan else {
            return Err(self.no_columns());
        };
        let view = table.view()?;
        match self.check_table(plan, &view)? {
            None => run_table(plan, &view, executor),
            Some(mended) => run_table(plan, &mended.view()?, executor),
        }
    }
}

fn check_time(deadline: Option<Instant>) -> Result<()> {
    match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(late_error()),
        _ => Ok(()),
    }
}
