//! ONNX models without a feature set: their tensors pass as they are.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;

use support::{Collector, Folder, executions, model, ort};
use tidegate_runtime::{CallOptions, Input, LoadOptions, Model, Options, Runtime};
use tidegate_schema::{Datatype, ErrorKind, Result, Tensor, TensorData};

fn load(name: &str) -> (Arc<Runtime>, Result<Arc<Model>>) {
    ort();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let loaded = runtime.load_onnx(name, "1", &model(name), &LoadOptions::default());
    (runtime, loaded)
}

fn f32s(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(name, shape.to_vec(), TensorData::Fp32(values.to_vec())).unwrap()
}

fn ask(model: &Arc<Model>, tensors: Vec<Tensor>) -> Result<Vec<Tensor>> {
    model
        .predict(Input::Tensors(tensors), &CallOptions::default())
        .map(|answer| answer.outputs)
}

/// Two rows of two elements of every datatype, odd ones among them.
fn every_datatype() -> Vec<Tensor> {
    let data = [
        TensorData::Bool(vec![0, 1, 1, 0]),
        TensorData::Uint8(vec![0, 1, 254, 255]),
        TensorData::Uint16(vec![0, 1, 2, u16::MAX]),
        TensorData::Uint32(vec![0, 1, 2, u32::MAX]),
        TensorData::Uint64(vec![0, 1, 2, u64::MAX]),
        TensorData::Int8(vec![i8::MIN, -1, 0, i8::MAX]),
        TensorData::Int16(vec![i16::MIN, -1, 0, i16::MAX]),
        TensorData::Int32(vec![i32::MIN, -1, 0, i32::MAX]),
        TensorData::Int64(vec![i64::MIN, -1, 0, i64::MAX]),
        TensorData::Fp16(vec![0, 0x3c00, 0x7c00, 0xfbff]),
        TensorData::Bf16(vec![0, 0x3f80, 0x7f80, 0xff7f]),
        TensorData::Fp32(vec![0.0, -1.5, f32::INFINITY, f32::MIN_POSITIVE]),
        TensorData::Fp64(vec![0.0, -1.5, f64::NEG_INFINITY, 1e300]),
        TensorData::Bytes(vec![
            b"".to_vec(),
            "é".as_bytes().to_vec(),
            b"with\0zero".to_vec(),
            vec![b'x'; 1_000],
        ]),
    ];
    data.into_iter()
        .map(|data| {
            let name = format!("in_{}", data.datatype());
            Tensor::new(name, vec![2, 2], data).unwrap()
        })
        .collect()
}

#[test]
fn every_datatype_passes_as_it_is() {
    let (_runtime, identity) = load("identity");
    let identity = identity.unwrap();
    let tensors = every_datatype();
    assert_eq!(tensors.len(), Datatype::ALL.len());
    let mut shuffled = tensors.clone();
    shuffled.reverse();
    let outputs = ask(&identity, shuffled).unwrap();
    for (output, input) in outputs.iter().zip(&tensors) {
        assert_eq!(output.name, input.name.replace("in_", "out_"));
        assert_eq!((&output.shape, &output.data), (&input.shape, &input.data));
    }
    // NaN keeps its bits' meaning, too.
    let mut with_nan = tensors;
    with_nan[11].data = TensorData::Fp32(vec![f32::NAN; 4]);
    let outputs = ask(&identity, with_nan).unwrap();
    let TensorData::Fp32(values) = &outputs[11].data else {
        panic!()
    };
    assert!(values.iter().all(|value| value.is_nan()));
}

#[test]
fn every_datatype_is_merged_and_split() {
    let (_runtime, identity) = load("identity");
    let identity = identity.unwrap();
    assert!(identity.merges());
    let collector = Arc::new(Collector::default());
    let rows = |number: usize| -> Vec<Tensor> {
        let tensors = every_datatype();
        tensors
            .iter()
            .map(|tensor| tensor.slice_rows(number % 2, 1 + (number + 1) % 2))
            .collect()
    };
    let tickets: Vec<_> = (0..9)
        .map(|number| {
            let input = Input::Tensors(rows(number));
            identity.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    identity.flush();
    for (number, answer) in collector.take(9).into_iter().enumerate() {
        for (output, input) in answer.unwrap().outputs.iter().zip(rows(number)) {
            assert_eq!((&output.shape, &output.data), (&input.shape, &input.data));
        }
    }
    drop(tickets);
    assert_eq!(executions(&identity, 1), 1);
}

#[test]
fn a_linear_model_computes() {
    let (_runtime, linear) = load("linear");
    let linear = linear.unwrap();
    assert_eq!(linear.inputs()[0].shape, [-1, 3]);
    assert_eq!(linear.outputs()[0].name, "y");
    let x = f32s("x", &[2, 3], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let outputs = ask(&linear, vec![x]).unwrap();
    assert_eq!(
        outputs[0].data,
        TensorData::Fp32(vec![1.0, 10.0, 7.0, 70.0])
    );
    let error = ask(&linear, vec![f32s("x", &[1, 4], &[0.0; 4])]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("[-1, 3]"), "{error}");
}

#[test]
fn instances_share_a_session_and_not_their_rows() {
    ort();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let options = LoadOptions {
        instances: Some(3),
        ..LoadOptions::default()
    };
    let linear = runtime
        .load_onnx("linear", "1", &model("linear"), &options)
        .unwrap();
    let answer = |seed: usize, rows: usize| {
        let values: Vec<f32> = (0..rows * 3).map(|i| (seed * 31 + i) as f32).collect();
        ask(&linear, vec![f32s("x", &[rows, 3], &values)]).unwrap()
    };
    // Row by row, alone, is what each must say in company.
    let alone: Vec<_> = (0..40).map(|seed| answer(seed, 1 + seed % 7)).collect();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (answer, alone) = (&answer, &alone);
            scope.spawn(move || {
                for round in 0..200 {
                    let seed = (thread * 7 + round) % 40;
                    assert_eq!(answer(seed, 1 + seed % 7), alone[seed]);
                }
            });
        }
    });
    assert_eq!(linear.statistics().batches.instances, 3);
    assert_eq!(linear.statistics().success.count, 1_240);
}

#[test]
fn a_fixed_first_dimension_is_not_merged() {
    let (_runtime, fixed) = load("fixed");
    let fixed = fixed.unwrap();
    assert!(!fixed.merges());
    let collector = Arc::new(Collector::default());
    let x = |number: usize| f32s("x", &[2, 3], &[number as f32; 6]);
    let tickets: Vec<_> = (0..4)
        .map(|number| {
            let input = Input::Tensors(vec![x(number)]);
            fixed.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    fixed.flush();
    for (number, answer) in collector.take(4).into_iter().enumerate() {
        assert_eq!(answer.unwrap().outputs[0].data, x(number).data);
    }
    drop(tickets);
    assert_eq!(executions(&fixed, 4), 4);
    let error = ask(&fixed, vec![f32s("x", &[1, 3], &[0.0; 3])]).unwrap_err();
    assert!(error.message.contains("[2, 3]"), "{error}");
}

#[test]
fn a_model_that_does_not_treat_rows_apart_is_not_merged() {
    let (_runtime, total) = load("total");
    assert!(!total.unwrap().merges());
    // This one shows it only when it was merged.
    let (_runtime, unique) = load("unique");
    let unique = unique.unwrap();
    assert!(unique.merges());
    for _ in 0..2 {
        let collector = Arc::new(Collector::default());
        let tickets: Vec<_> = (0..4)
            .map(|number| {
                let x = f32s("x", &[3], &[number as f32, 7.0, 7.0]);
                let input = Input::Tensors(vec![x]);
                unique.submit(input, &CallOptions::default(), collector.done(number))
            })
            .collect();
        unique.flush();
        for (number, answer) in collector.take(4).into_iter().enumerate() {
            let due = TensorData::Fp32(vec![number as f32, 7.0]);
            assert_eq!(answer.unwrap().outputs[0].data, due);
        }
        drop(tickets);
    }
    executions(&unique, 2);
    // One merged run, then one for each request.
    assert_eq!(unique.statistics().model.count, 1 + 4 + 4);
}

#[test]
fn a_bad_row_fails_alone() {
    let (_runtime, poison) = load("poison");
    let poison = poison.unwrap();
    let collector = Arc::new(Collector::default());
    let tickets: Vec<_> = (0..8)
        .map(|number| {
            let value = if number == 5 { f32::NAN } else { number as f32 };
            let input = Input::Tensors(vec![f32s("x", &[1], &[value])]);
            poison.submit(input, &CallOptions::default(), collector.done(number))
        })
        .collect();
    poison.flush();
    for (number, answer) in collector.take(8).into_iter().enumerate() {
        match answer {
            Ok(answer) => {
                let square = TensorData::Fp32(vec![(number * number) as f32]);
                assert_eq!(answer.outputs[0].data, square);
            }
            Err(error) => {
                assert_eq!(number, 5);
                assert!(error.message.contains("out of data bounds"), "{error}");
            }
        }
    }
    drop(tickets);
    // And the next request is served.
    ask(&poison, vec![f32s("x", &[1], &[1.0])]).unwrap();
}

#[test]
fn a_bool_that_is_none_is_refused() {
    let (_runtime, identity) = load("identity");
    let mut tensors = every_datatype();
    tensors[0].data = TensorData::Bool(vec![0, 1, 2, 1]);
    let error = ask(&identity.unwrap(), tensors).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
}

#[test]
fn what_is_no_model_is_refused() {
    ort();
    let folder = Folder::new();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let load = |path: &Path| {
        runtime
            .load_onnx("m", "1", path, &LoadOptions::default())
            .unwrap_err()
    };
    assert_eq!(
        load(&folder.path().join("absent.onnx")).kind,
        ErrorKind::NotFound
    );
    let good = std::fs::read(model("classifier")).unwrap();
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"this is no ONNX file"),
        ("truncated", &good[..good.len() / 2]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path);
        assert_eq!(error.kind, ErrorKind::State, "{name}: {error}");
        assert!(error.message.contains("export"), "{name}: {error}");
    }
    let error = load(&model("sequence"));
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("ZipMap"), "{error}");
}
