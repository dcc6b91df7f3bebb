//! No request ever sees another's rows: random requests of all kinds from many threads, merged,
//! split, cancelled, late and failing, against several instances of a model.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::{Collector, model, ort};
use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{
    Answer, CallOptions, Input, Limits, LoadOptions, Model, Options, Runtime, TensorInfo,
};
use tidegate_schema::{Datatype, Error, ErrorKind, Result, Tensor, TensorData};

const THREADS: usize = 4;
const REQUESTS: usize = 60;

/// Random numbers that are the same in every run with a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// One request, and what is to be said of it and of nothing else.
struct Request {
    tensors: Vec<Tensor>,
    due: Vec<TensorData>,
    poisoned: bool,
}

/// Makes a request of so many rows.
type Make = fn(&mut Random, rows: usize, poisoned: bool) -> Request;

/// Says again what it is told, rows of any width: incompatible requests have different ones.
/// A negative id fails the whole run.
#[derive(Clone)]
struct Echo {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl Echo {
    fn new() -> Self {
        let info = |name: &str, datatype, shape: &[i64]| TensorInfo {
            name: name.to_owned(),
            datatype,
            shape: shape.to_vec(),
        };
        let infos = vec![
            info("wide", Datatype::Fp32, &[-1, -1]),
            info("id", Datatype::Int64, &[-1]),
            info("text", Datatype::Bytes, &[-1]),
        ];
        Self {
            inputs: infos.clone(),
            outputs: infos,
        }
    }

    fn request(random: &mut Random, rows: usize, poisoned: bool) -> Request {
        let width = 1 + random.below(3) as usize;
        let mut ids: Vec<i64> = (0..rows).map(|_| random.below(1 << 40) as i64).collect();
        let wide = (0..rows * width).map(|_| random.below(1 << 20) as f32);
        let wide = TensorData::Fp32(wide.collect());
        let text = ids.iter().map(|id| id.to_string().repeat(1 + width).into());
        let text = TensorData::Bytes(text.collect());
        if poisoned {
            ids[random.below(rows as u64) as usize] = -1;
        }
        let ids = TensorData::Int64(ids);
        let tensor =
            |name: &str, shape, data: &TensorData| Tensor::new(name, shape, data.clone()).unwrap();
        Request {
            // In any order.
            tensors: vec![
                tensor("text", vec![rows], &text),
                tensor("wide", vec![rows, width], &wide),
                tensor("id", vec![rows], &ids),
            ],
            due: vec![wide, ids, text],
            poisoned,
        }
    }
}

impl Backend for Echo {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        let rows = inputs[0].shape[0];
        assert!(inputs.iter().all(|slab| slab.shape[0] == rows));
        let TensorData::Int64(ids) = inputs[1].data else {
            panic!("{:?}", inputs[1].data.datatype());
        };
        // Batches take different times, so that threads meet in every order.
        for _ in 0..ids.iter().sum::<i64>() % 7 {
            std::thread::yield_now();
        }
        if ids.iter().any(|id| *id < 0) {
            return Err(Error::invalid("a negative id"));
        }
        let echo = |(slab, info): (&Slab<'_>, &TensorInfo)| {
            Tensor::new(info.name.clone(), slab.shape.to_vec(), slab.data.clone())
        };
        inputs.iter().zip(&self.outputs).map(echo).collect()
    }

    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

/// For the model that squares the numbers up to 7 by a table, and fails with NaN.
fn squares(random: &mut Random, rows: usize, poisoned: bool) -> Request {
    let mut x: Vec<f32> = (0..rows).map(|_| random.below(8) as f32).collect();
    let due = x.iter().map(|x| x * x).collect();
    if poisoned {
        x[random.below(rows as u64) as usize] = f32::NAN;
    }
    Request {
        tensors: vec![Tensor::new("x", vec![rows], TensorData::Fp32(x)).unwrap()],
        due: vec![TensorData::Fp32(due)],
        poisoned,
    }
}

/// For the model that says again two elements a row of each datatype.
fn every_datatype(random: &mut Random, rows: usize, _: bool) -> Request {
    let mut bits = || -> Vec<u64> { (0..2 * rows).map(|_| random.below(100)).collect() };
    macro_rules! data {
        ($($variant:ident($kind:ty)),*) => {
            vec![$(TensorData::$variant(bits().into_iter().map(|b| b as $kind).collect())),*]
        };
    }
    let mut due = vec![TensorData::Bool(
        bits().iter().map(|b| (b % 2) as _).collect(),
    )];
    due.extend(data!(
        Uint8(u8),
        Uint16(u16),
        Uint32(u32),
        Uint64(u64),
        Int8(i8),
        Int16(i16),
        Int32(i32),
        Int64(i64),
        Fp16(u16),
        Bf16(u16),
        Fp32(f32),
        Fp64(f64)
    ));
    let text = |b: u64| b.to_string().repeat(b as usize).into_bytes();
    due.push(TensorData::Bytes(bits().into_iter().map(text).collect()));
    let tensor = |data: &TensorData| {
        let name = format!("in_{}", data.datatype());
        Tensor::new(name, vec![rows, 2], data.clone()).unwrap()
    };
    Request {
        tensors: due.iter().map(tensor).collect(),
        due,
        poisoned: false,
    }
}

/// What may become of a request besides its own answer.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Answered,
    Cancelled,
    Late,
}

fn check(answer: &Result<Answer>, request: &Request, end: End) {
    match answer {
        Ok(answer) => {
            assert!(!request.poisoned, "a poisoned request has an answer");
            let said = answer.outputs.iter().map(|output| &output.data);
            assert!(said.eq(request.due.iter()), "rows that are not its own");
            let rows = request.tensors[0].shape[0];
            assert!(answer.outputs.iter().all(|output| output.shape[0] == rows));
        }
        Err(error) => match error.kind {
            ErrorKind::Cancelled => assert!(end == End::Cancelled, "{error}"),
            ErrorKind::Deadline | ErrorKind::Overloaded => assert!(end == End::Late, "{error}"),
            _ => assert!(request.poisoned, "{error}"),
        },
    }
}

/// One thread's requests: some wait in this thread, the others come in turns of an event loop.
fn client(model: &Arc<Model>, make: Make, seed: u64) {
    let mut random = Random(seed);
    let collector = Arc::new(Collector::default());
    let (mut submitted, mut tickets) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        let rows = match random.below(8) {
            0 => 1 + random.below(60) as usize,
            _ => 1 + random.below(5) as usize,
        };
        let poisoned = random.below(12) == 0;
        let request = make(&mut random, rows, poisoned);
        let mut options = CallOptions {
            priority: random.below(20) as u32,
            ..CallOptions::default()
        };
        let mut end = End::Answered;
        match random.below(8) {
            0 => end = End::Cancelled,
            1 => {
                end = End::Late;
                options.deadline = Some(Instant::now() + Duration::from_micros(random.below(400)));
            }
            2 => options.deadline = Some(Instant::now() + Duration::from_secs(600)),
            _ => {}
        }
        let input = Input::Tensors(request.tensors.clone());
        if end != End::Cancelled && random.below(4) == 0 {
            check(&model.predict(input, &options), &request, end);
            continue;
        }
        let ticket = model.submit(input, &options, collector.done(submitted.len()));
        submitted.push((request, end));
        match end {
            End::Cancelled if random.below(2) == 0 => ticket.cancel(),
            End::Cancelled => tickets.push(ticket),
            _ => ticket.detach(),
        }
        if random.below(6) == 0 {
            model.flush();
            tickets.clear();
        }
    }
    model.flush();
    drop(tickets);
    // Exactly one answer each: the collector refuses a second one.
    let answers = collector.take(submitted.len());
    for (answer, (request, end)) in answers.iter().zip(&submitted) {
        check(answer, request, *end);
    }
}

fn storm(model: &Arc<Model>, make: Make, seed: u64) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            scope.spawn(move || client(model, make, seed.wrapping_mul(31).wrapping_add(thread)));
        }
    });
    // What has run has run for somebody.
    let statistics = model.statistics();
    assert!(statistics.success.count > 0);
    assert_eq!(statistics.batches.panics, 0);
}

fn options(instances: usize, max_batch_rows: usize) -> LoadOptions {
    LoadOptions {
        instances: Some(instances),
        limits: Limits {
            max_batch_rows,
            max_queue_rows: 1 << 20,
            ..Limits::default()
        },
        ..LoadOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_answer_has_exactly_its_own_rows(
        seed: u64,
        instances in 1_usize..4,
        max_batch_rows in 1_usize..40,
    ) {
        let runtime = Runtime::new(&Options::default()).unwrap();
        let options = options(instances, max_batch_rows);
        let model = runtime.load_backend("echo", "1", Box::new(Echo::new()), &options);
        storm(&model.unwrap(), Echo::request, seed);
    }

    #[test]
    fn every_answer_of_onnx_has_exactly_its_own_rows(
        seed: u64,
        instances in 1_usize..4,
        max_batch_rows in 1_usize..40,
    ) {
        ort();
        let runtime = Runtime::new(&Options::default()).unwrap();
        let options = options(instances, max_batch_rows);
        for (name, make) in [("poison", squares as Make), ("identity", every_datatype)] {
            let model = runtime.load_onnx(name, "1", &model(name), &options);
            storm(&model.unwrap(), make, seed);
        }
    }
}
