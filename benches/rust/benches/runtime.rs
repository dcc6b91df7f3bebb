//! What the runtime adds to the bare run of a model: one row, an idle model, the caller's thread.
//!
//! Needs `TIDEGATE_TEST_ORT`, the path of an installed `libonnxruntime.so`.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{
    CallOptions, Input, LoadOptions, Model, Options, Runtime, TensorInfo, onnx,
};
use tidegate_schema::{ColumnBuf, DType, Datatype, Result, TableBuf, Tensor, TensorData};

fn main() {
    divan::main();
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/bundle")
        .join(name)
}

fn ort() {
    static LOAD: Once = Once::new();
    LOAD.call_once(|| {
        let path = std::env::var("TIDEGATE_TEST_ORT").unwrap_or_else(|_| {
            panic!("TIDEGATE_TEST_ORT is not set: set it to the path of libonnxruntime.so of an installed onnxruntime")
        });
        // SAFETY: no other thread reads the environment yet.
        unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
        onnx::load_library(Path::new(&path)).unwrap();
    });
}

/// Gives what it was given: all that is measured around it is the runtime's.
struct Echo(Vec<TensorInfo>);

impl Echo {
    fn new() -> Self {
        Self(vec![TensorInfo {
            name: "x".to_owned(),
            datatype: Datatype::Fp32,
            shape: vec![-1, 3],
        }])
    }
}

impl Backend for Echo {
    fn inputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor {
            name: "x".to_owned(),
            shape: inputs[0].shape.to_vec(),
            data: inputs[0].data.clone(),
        }])
    }
}

/// Rows that differ: repeated ones would flatter the model.
fn row(seed: &mut u64) -> Vec<f32> {
    (0..3)
        .map(|_| {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 40) as f32 / 1e6
        })
        .collect()
}

fn tensor(seed: &mut u64, name: &str) -> Vec<Tensor> {
    vec![Tensor {
        name: name.to_owned(),
        shape: vec![1, 3],
        data: TensorData::Fp32(row(seed)),
    }]
}

fn table(seed: &mut u64) -> TableBuf {
    let values = row(seed);
    let mut carrier = ColumnBuf::new(DType::String, 1);
    carrier.push_str("UA").unwrap();
    TableBuf {
        columns: vec![
            ColumnBuf::from_f64(vec![f64::from(values[0])]),
            ColumnBuf::from_f64(vec![f64::from(values[1])]),
            carrier,
        ],
    }
}

fn runtime() -> Arc<Runtime> {
    Runtime::new(&Options::default()).unwrap()
}

/// The backend by itself, without a runtime.
mod bare {
    use super::*;

    #[divan::bench]
    fn echo(bencher: Bencher<'_, '_>) {
        let mut echo = Echo::new();
        run(bencher, &mut echo);
    }

    #[divan::bench]
    fn onnx_linear(bencher: Bencher<'_, '_>) {
        ort();
        let bytes = std::fs::read(golden("models/linear.onnx")).unwrap();
        let mut backend = onnx::OnnxBackend::from_bytes(&bytes).unwrap();
        run(bencher, &mut backend);
    }

    #[divan::bench]
    fn onnx_classifier(bencher: Bencher<'_, '_>) {
        ort();
        let bytes = std::fs::read(golden("models/classifier.onnx")).unwrap();
        let mut backend = onnx::OnnxBackend::from_bytes(&bytes).unwrap();
        run(bencher, &mut backend);
    }

    fn run(bencher: Bencher<'_, '_>, backend: &mut dyn Backend) {
        let mut seed = 1;
        bencher
            .with_inputs(|| TensorData::Fp32(row(&mut seed)))
            .bench_local_values(|data| {
                let slab = Slab {
                    shape: &[1, 3],
                    data: &data,
                };
                black_box(backend.run(&[slab]))
            });
    }
}

/// The same through `Model::predict`.
mod predict {
    use super::*;

    #[divan::bench]
    fn echo(bencher: Bencher<'_, '_>) {
        let runtime = runtime();
        let options = LoadOptions::default();
        let model = runtime
            .load_backend("echo", "1", Box::new(Echo::new()), &options)
            .unwrap();
        tensors(bencher, &model);
    }

    #[divan::bench]
    fn onnx_linear(bencher: Bencher<'_, '_>) {
        ort();
        let runtime = runtime();
        let file = golden("models/linear.onnx");
        let model = runtime
            .load_onnx("linear", "1", &file, &LoadOptions::default())
            .unwrap();
        tensors(bencher, &model);
    }

    fn tensors(bencher: Bencher<'_, '_>, model: &Arc<Model>) {
        let mut seed = 1;
        let options = CallOptions::default();
        bencher
            .with_inputs(|| Input::Tensors(tensor(&mut seed, "x")))
            .bench_local_values(|input| black_box(model.predict(input, &options)));
    }

    /// Columns, features, model; watched or not.
    #[divan::bench(args = [false, true])]
    fn bundle(bencher: Bencher<'_, '_>, watch: bool) {
        ort();
        let runtime = runtime();
        let model = runtime
            .load(&golden("v1"), &LoadOptions::default())
            .unwrap();
        let mut seed = 1;
        let options = CallOptions {
            watch,
            ..CallOptions::default()
        };
        bencher
            .with_inputs(|| Input::Table(table(&mut seed)))
            .bench_local_values(|input| black_box(model.predict(input, &options)));
    }

    /// The features of the same row alone: to be taken off `bundle`.
    #[divan::bench]
    fn features_alone(bencher: Bencher<'_, '_>) {
        ort();
        let runtime = runtime();
        let model = runtime
            .load(&golden("v1"), &LoadOptions::default())
            .unwrap();
        let plan = model.plan().unwrap();
        let mut seed = 1;
        let mut matrix = vec![0.0; plan.width()];
        bencher
            .with_inputs(|| table(&mut seed))
            .bench_local_refs(|table| {
                let view = table.view().unwrap();
                plan.transform_into(&view, black_box(&mut matrix)).unwrap();
            });
    }
}

/// Many requests through the queue: submit, flush, answer.
#[divan::bench(args = [1, 8, 32])]
fn queue(bencher: Bencher<'_, '_>, requests: usize) {
    let runtime = runtime();
    let options = LoadOptions::default();
    let model = runtime
        .load_backend("echo", "1", Box::new(Echo::new()), &options)
        .unwrap();
    let call = CallOptions::default();
    // The first batches teach the cost, so that the flushes run here.
    for _ in 0..100 {
        let mut seed = 1;
        let input = Input::Tensors(tensor(&mut seed, "x"));
        model.predict(input, &call).unwrap();
    }
    let mut seed = 1;
    bencher
        .counter(ItemsCount::new(requests))
        .with_inputs(|| -> Vec<Input> {
            (0..requests)
                .map(|_| Input::Tensors(tensor(&mut seed, "x")))
                .collect()
        })
        .bench_local_values(|inputs| {
            for input in inputs {
                model
                    .submit(input, &call, |answer| drop(black_box(answer)))
                    .detach();
            }
            model.flush();
        });
}
