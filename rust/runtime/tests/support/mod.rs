//! What the tests of the runtime share: the library, the models, a backend that needs neither.
#![allow(dead_code, missing_docs)]

pub mod bundle;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::time::{Duration, Instant};

use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{Answer, Model, TensorInfo, onnx};
use tidegate_schema::{Datatype, Error, Result, Tensor, TensorData};

/// Loads ONNX Runtime, or says how to.
pub fn ort() {
    static LOAD: Once = Once::new();
    LOAD.call_once(|| {
        let path = std::env::var("TIDEGATE_TEST_ORT").unwrap_or_else(|_| {
            panic!("TIDEGATE_TEST_ORT is not set: type `make test-rust`, or set it to the path of libonnxruntime.so of an installed onnxruntime")
        });
        // SAFETY: tests that read the environment meet this only through `Once`, before the
        // library, which reads it, is loaded.
        unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
        onnx::load_library(Path::new(&path)).unwrap();
    });
}

/// A file of `tests/golden/bundle`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/bundle")
        .join(name)
}

/// One of the small models.
pub fn model(name: &str) -> PathBuf {
    golden("models").join(format!("{name}.onnx"))
}

/// A folder of this test alone, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a fake backend has been asked.
#[derive(Default)]
pub struct Seen {
    /// Rows of each run, failed ones included.
    pub runs: Mutex<Vec<usize>>,
    /// First elements of all rows that were run.
    pub rows: Mutex<Vec<f32>>,
}

/// Doubles rows of three floats, and names each row by the sum of its elements. A NaN fails the
/// whole run, as a bad row fails a real batch.
pub struct Doubler {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    seen: Arc<Seen>,
    /// Whoever holds it keeps the model busy.
    pub door: Arc<Mutex<()>>,
    /// Rows that the outputs lack: a broken model.
    pub short: usize,
    /// May there be several instances of it?
    pub several: bool,
}

pub const WIDTH: usize = 3;

impl Doubler {
    pub fn new() -> (Self, Arc<Seen>) {
        let info = |name: &str, datatype, shape: &[i64]| TensorInfo {
            name: name.to_owned(),
            datatype,
            shape: shape.to_vec(),
        };
        let seen = Arc::new(Seen::default());
        let doubler = Self {
            inputs: vec![info("x", Datatype::Fp32, &[-1, WIDTH as i64])],
            outputs: vec![
                info("y", Datatype::Fp32, &[-1, WIDTH as i64]),
                info("name", Datatype::Bytes, &[-1]),
            ],
            seen: Arc::clone(&seen),
            door: Arc::default(),
            short: 0,
            several: false,
        };
        (doubler, seen)
    }
}

impl Doubler {
    /// Says that it takes rows of so many floats.
    pub fn resize(&mut self, width: i64) {
        self.inputs[0].shape[1] = width;
    }
}

impl Backend for Doubler {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        let TensorData::Fp32(values) = inputs[0].data else {
            panic!()
        };
        let rows = inputs[0].shape[0];
        assert_eq!(values.len(), rows * WIDTH);
        self.seen.runs.lock().unwrap().push(rows);
        drop(self.door.lock());
        if values.iter().any(|value| value.is_nan()) {
            return Err(Error::invalid("NaN"));
        }
        let mut seen = self.seen.rows.lock().unwrap();
        seen.extend(values.iter().step_by(WIDTH));
        let rows = rows - self.short;
        let doubled = values[..rows * WIDTH].iter().map(|v| 2.0 * v).collect();
        let names = values[..rows * WIDTH]
            .chunks(WIDTH)
            .map(|row| row.iter().sum::<f32>().to_string().into_bytes())
            .collect();
        Ok(vec![
            Tensor::new("y", vec![rows, WIDTH], TensorData::Fp32(doubled))?,
            Tensor::new("name", vec![rows], TensorData::Bytes(names))?,
        ])
    }

    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        let another = || Self {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            seen: Arc::clone(&self.seen),
            door: Arc::clone(&self.door),
            ..*self
        };
        Ok(self
            .several
            .then(|| Box::new(another()) as Box<dyn Backend>))
    }
}

/// Rows of three floats as the input of a [`Doubler`].
pub fn rows(values: &[f32]) -> Vec<Tensor> {
    let shape = vec![values.len() / WIDTH, WIDTH];
    vec![Tensor::new("x", shape, TensorData::Fp32(values.to_vec())).unwrap()]
}

/// Is this what a [`Doubler`] says of these rows and of no others?
pub fn check_doubled(answer: &Answer, values: &[f32]) {
    let doubled: Vec<f32> = values.iter().map(|v| 2.0 * v).collect();
    assert_eq!(answer.outputs[0].data, TensorData::Fp32(doubled));
    assert_eq!(answer.outputs[0].shape, [values.len() / WIDTH, WIDTH]);
    let names = values.chunks(WIDTH);
    let names = names.map(|row| row.iter().sum::<f32>().to_string().into_bytes());
    assert_eq!(answer.outputs[1].data, TensorData::Bytes(names.collect()));
}

/// Batches executed, once there are so many: the last is counted after its answers are given.
pub fn executions(model: &Model, due: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = model.statistics().batches.executions;
        if found >= due || Instant::now() > deadline {
            return found;
        }
        std::thread::yield_now();
    }
}

/// Answers by the number of their request, to be waited for.
#[derive(Default)]
pub struct Collector {
    answers: Mutex<Vec<(usize, Result<Answer>)>>,
    more: Condvar,
}

impl Collector {
    pub fn done(
        self: &Arc<Self>,
        number: usize,
    ) -> impl FnOnce(Result<Answer>) + Send + 'static + use<> {
        let collector = Arc::clone(self);
        move |answer| {
            collector.answers.lock().unwrap().push((number, answer));
            collector.more.notify_all();
        }
    }

    /// Waits for so many answers and gives them in the order of their requests.
    pub fn take(&self, count: usize) -> Vec<Result<Answer>> {
        let mut answers = self.answers.lock().unwrap();
        while answers.len() < count {
            let (next, timeout) = self
                .more
                .wait_timeout(answers, Duration::from_secs(60))
                .unwrap();
            answers = next;
            assert!(!timeout.timed_out(), "{} of {count} answers", answers.len());
        }
        let mut taken = std::mem::take(&mut *answers);
        taken.sort_by_key(|(number, _)| *number);
        assert!(
            taken.iter().map(|(number, _)| *number).eq(0..count),
            "a request was answered twice or never"
        );
        taken.into_iter().map(|(_, answer)| answer).collect()
    }
}
