//! A model that is made here: its output is twice its input.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{LoadOptions, Model, Runtime, TensorInfo};
use tidegate_schema::{Datatype, Error, ErrorKind, Result, Tensor, TensorData};
use tidegate_server::{Options, Running, Server};

/// Doubles its input, behind a door; fails where a value is -1.
struct Twice {
    info: Vec<TensorInfo>,
    output: Vec<TensorInfo>,
    door: Arc<Mutex<()>>,
    runs: Arc<AtomicUsize>,
}

impl Backend for Twice {
    fn inputs(&self) -> &[TensorInfo] {
        &self.info
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.output
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        drop(self.door.lock());
        let TensorData::Fp32(values) = inputs[0].data else {
            return Err(Error::internal("not FP32"));
        };
        if values.contains(&-1.0) {
            return Err(Error::new(
                ErrorKind::Backend,
                "the model failed on purpose",
            ));
        }
        let twice = values.iter().map(|value| value * 2.0).collect();
        let shape = inputs[0].shape.to_vec();
        Ok(vec![Tensor::new("y", shape, TensorData::Fp32(twice))?])
    }
}

pub fn info(name: &str) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![-1, 2],
    }
}

/// A runtime with the model, and what is to be seen of it.
pub struct Subject {
    pub runtime: Arc<Runtime>,
    pub model: Arc<Model>,
    /// Whoever holds it keeps the model busy.
    pub door: Arc<Mutex<()>>,
    runs: Arc<AtomicUsize>,
}

impl Subject {
    pub fn new() -> Self {
        Self::with(&LoadOptions::default())
    }

    pub fn with(options: &LoadOptions) -> Self {
        let runtime = Runtime::new(&tidegate_runtime::Options::default()).unwrap();
        let (door, runs) = (Arc::default(), Arc::default());
        let backend = Twice {
            info: vec![info("x")],
            output: vec![info("y")],
            door: Arc::clone(&door),
            runs: Arc::clone(&runs),
        };
        let model = runtime
            .load_backend("twice", "1.0.0", Box::new(backend), options)
            .unwrap();
        runtime.deploy("twice", Arc::clone(&model), 3).unwrap();
        Self {
            runtime,
            model,
            door,
            runs,
        }
    }

    /// Shares the traffic half and half with version 2.0.0, by the header `x-user`.
    pub fn share(&self, revision: u64) {
        let backend = Twice {
            info: vec![info("x")],
            output: vec![info("y")],
            door: Arc::clone(&self.door),
            runs: Arc::clone(&self.runs),
        };
        let options = LoadOptions::default();
        let second = self
            .runtime
            .load_backend("twice", "2.0.0", Box::new(backend), &options)
            .unwrap();
        let document = r#"{"arms": [
            {"version": "1.0.0", "weight": 5000, "role": "stable"},
            {"version": "2.0.0", "weight": 5000, "role": "candidate"}],
            "key": {"from": "header", "name": "x-user"}}"#;
        let models = vec![Arc::clone(&self.model), second];
        self.runtime
            .route("twice", revision, document, models)
            .unwrap();
    }

    pub fn serve(&self) -> Running {
        self.serve_with(local())
    }

    pub fn serve_with(&self, options: Options) -> Running {
        Server::start(Arc::clone(&self.runtime), options).unwrap()
    }

    /// Runs begun.
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Rows that wait for the model.
    pub fn queued(&self) -> usize {
        self.model.statistics().batches.queued_rows
    }
}

pub fn local() -> Options {
    Options {
        address: "127.0.0.1:0".to_owned(),
        grpc_address: Some("127.0.0.1:0".to_owned()),
        workers: 1,
        limits: super::patient(),
        ..Options::default()
    }
}
