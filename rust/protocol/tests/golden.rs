//! Golden files: bodies that clients wrote mean today what they meant when they were kept, and
//! replies are written byte for byte as they were.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Functions shared by the tests are not tests to clippy.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_protocol::fuzz::{Stage, schema};
use tidegate_protocol::infer::{
    Encoded, InferResponse, RequestedOutput, decode, decode_response, encode, encode_request,
};
use tidegate_protocol::metadata::{self, Live, ModelConfig, ModelMetadata, Ready, ServerMetadata};
use tidegate_protocol::predict::{self, Predictions};
use tidegate_protocol::{Limits, Parameter, Parameters, columns, error_body, fuzz};
use tidegate_schema::{Error, Tensor, TensorData};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/protocol")
        .join(name)
}

fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[track_caller]
fn same(folder_name: &str, name: &str, found: &[u8]) {
    let path = folder(folder_name).join(name);
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        kept == found,
        "{}:\n{}\nis no longer\n{}",
        path.display(),
        String::from_utf8_lossy(&kept),
        String::from_utf8_lossy(found)
    );
}

fn named(name: &str, encoded: &Encoded) -> String {
    match encoded.header_length {
        None => format!("{name}.json"),
        Some(length) => format!("{name}.{length}.bin"),
    }
}

#[test]
fn requests_mean_what_they_meant() {
    let mut requests = 0;
    for (name, body) in files("corpus") {
        let parts: Vec<&str> = name.split('.').collect();
        let header_length = match parts.as_slice() {
            [_, "json"] => None,
            [_, length, "bin"] => Some(length.parse().unwrap()),
            _ => continue,
        };
        let request = decode(&body, header_length, &[], &Limits::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let meaning = encode_request(&request, false)
            .or_else(|_| encode_request(&request, true))
            .unwrap();
        same("decoded", &named(parts[0], &meaning), &meaning.body);
        requests += 1;
        if name.starts_with("triton-columns") {
            columns::from_tensors(&request.inputs, &schema()).unwrap();
        }
    }
    assert!(requests >= 8, "{requests}");
}

#[test]
fn the_corpus_is_valid() {
    for (name, body) in files("corpus") {
        let parts: Vec<&str> = name.split('.').collect();
        let stage = match parts.as_slice() {
            [_, "json"] => fuzz::json(&body),
            [_, length, "bin"] => fuzz::binary(&body, length.parse().unwrap()),
            [_, "rows", "json"] => fuzz::rows(&body),
            [_, "reply", "json"] => fuzz::reply(&body, None),
            [_, length, "reply", "bin"] => fuzz::reply(&body, Some(length.parse().unwrap())),
            _ => panic!("{name}: see the README beside the corpus"),
        };
        assert_eq!(stage, Stage::Accepted, "{name}");
    }
}

fn outputs() -> Vec<Tensor> {
    vec![
        Tensor::new("label", vec![2], TensorData::Int64(vec![0, 1])).unwrap(),
        Tensor::new(
            "probabilities",
            vec![2, 2],
            TensorData::Fp32(vec![0.9, 0.1, 0.25, 0.75]),
        )
        .unwrap(),
        Tensor::new(
            "reason",
            vec![2, 1],
            TensorData::Bytes(vec![b"on time".to_vec(), b"late".to_vec()]),
        )
        .unwrap(),
    ]
}

#[test]
fn replies_are_written_as_they_were() {
    let outputs = outputs();
    let mut parameters = Parameters::new();
    parameters.push("prediction_id", Parameter::String("0198c0de".to_owned()));
    parameters.push("revision", Parameter::Int(7));
    let response = InferResponse {
        model_name: "flight-delay",
        model_version: "1.0.0",
        id: Some("r-1"),
        parameters: &parameters,
        outputs: &outputs,
        labels: &[],
    };
    let want = |name: &str, binary| RequestedOutput {
        name: name.to_owned(),
        binary,
        classes: 0,
        parameters: Parameters::new(),
    };
    let mixed = [want("reason", Some(false)), want("probabilities", None)];
    for (name, requested, binary_default) in [
        ("all-json", &[][..], false),
        ("all-binary", &[], true),
        ("one-of-each", &mixed, true),
        ("chosen-json", &mixed, false),
    ] {
        let written = encode(&response, requested, binary_default).unwrap();
        same("replies", &named(name, &written), &written.body);
        let read = decode_response(&written.body, written.header_length, &Limits::default());
        let read = read.unwrap();
        for output in &read.outputs {
            assert!(outputs.contains(output));
        }
    }
    let rows = predict::encode(&Predictions {
        model_name: "flight-delay",
        model_version: "1.0.0",
        revision: 7,
        experiment: None,
        prediction_id: "0198c0de",
        outputs: &outputs,
    });
    same("replies", "predict.json", &rows.unwrap());
    let error = error_body(&Error::invalid("unknown column \"distanse\""));
    same("replies", "error.json", &error);
}

#[test]
fn descriptions_are_written_as_they_were() {
    let inputs = metadata::signature(&schema());
    let server = ServerMetadata {
        name: "tidegate",
        version: "0.1.0",
        extensions: &metadata::EXTENSIONS,
    };
    let model = ModelMetadata {
        name: "flight-delay",
        versions: &["1.0.0"],
        platform: metadata::PLATFORM,
        inputs: &inputs,
        outputs: &[],
    };
    let config = ModelConfig::new("flight-delay", 64, &inputs, &[]);
    let ready = Ready {
        ready: true,
        live: true,
    };
    for (name, body) in [
        ("server.json", metadata::to_json(&server)),
        ("model.json", metadata::to_json(&model)),
        ("config.json", metadata::to_json(&config)),
        ("live.json", metadata::to_json(&Live { live: true })),
        ("ready.json", metadata::to_json(&ready)),
    ] {
        same("replies", name, &body);
    }
}
