//! Inference over gRPC is read and written by hand: here the generated messages say the same.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;
use tidegate_protocol::fuzz::{self, Stage};
use tidegate_protocol::grpc::messages::infer_parameter::ParameterChoice;
use tidegate_protocol::grpc::messages::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use tidegate_protocol::grpc::messages::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ModelStreamInferResponse,
};
use tidegate_protocol::grpc::{StreamReply, decode, encode, encode_stream, target};
use tidegate_protocol::infer::{InferResponse, RequestedOutput};
use tidegate_protocol::{Limits, Parameter, Parameters};
use tidegate_schema::{Datatype, ErrorKind, Tensor, TensorData};

/// Elements of a datatype as raw bytes and, where there are any, as typed contents.
fn elements(datatype: Datatype, seeds: &[u64]) -> (Vec<u8>, Option<InferTensorContents>) {
    let mut raw = Vec::new();
    let mut typed = InferTensorContents::default();
    for &seed in seeds {
        match datatype {
            Datatype::Bool => {
                raw.push((seed & 1) as u8);
                typed.bool_contents.push(seed & 1 == 1);
            }
            Datatype::Int8 => {
                raw.push(seed as u8);
                typed.int_contents.push((seed as i8).into());
            }
            Datatype::Int16 => {
                raw.extend_from_slice(&(seed as i16).to_le_bytes());
                typed.int_contents.push((seed as i16).into());
            }
            Datatype::Int32 => {
                raw.extend_from_slice(&(seed as i32).to_le_bytes());
                typed.int_contents.push(seed as i32);
            }
            Datatype::Int64 => {
                raw.extend_from_slice(&seed.to_le_bytes());
                typed.int64_contents.push(seed as i64);
            }
            Datatype::Uint8 => {
                raw.push(seed as u8);
                typed.uint_contents.push((seed as u8).into());
            }
            Datatype::Uint16 => {
                raw.extend_from_slice(&(seed as u16).to_le_bytes());
                typed.uint_contents.push((seed as u16).into());
            }
            Datatype::Uint32 => {
                raw.extend_from_slice(&(seed as u32).to_le_bytes());
                typed.uint_contents.push(seed as u32);
            }
            Datatype::Uint64 => {
                raw.extend_from_slice(&seed.to_le_bytes());
                typed.uint64_contents.push(seed);
            }
            Datatype::Fp16 | Datatype::Bf16 => raw.extend_from_slice(&(seed as u16).to_le_bytes()),
            Datatype::Fp32 => {
                raw.extend_from_slice(&(seed as u32).to_le_bytes());
                typed.fp32_contents.push(f32::from_bits(seed as u32));
            }
            Datatype::Fp64 => {
                raw.extend_from_slice(&seed.to_le_bytes());
                typed.fp64_contents.push(f64::from_bits(seed));
            }
            Datatype::Bytes => {
                let text = seed.to_string().into_bytes();
                raw.extend_from_slice(&(text.len() as u32).to_le_bytes());
                raw.extend_from_slice(&text);
                typed.bytes_contents.push(text);
            }
        }
    }
    let none = matches!(datatype, Datatype::Fp16 | Datatype::Bf16);
    (raw, (!none).then_some(typed))
}

fn parameter() -> impl Strategy<Value = (Parameter, InferParameter)> {
    let pair = |value, choice| {
        (
            value,
            InferParameter {
                parameter_choice: Some(choice),
            },
        )
    };
    prop_oneof![
        any::<bool>().prop_map(move |v| pair(Parameter::Bool(v), ParameterChoice::BoolParam(v))),
        any::<i64>().prop_map(move |v| pair(Parameter::Int(v), ParameterChoice::Int64Param(v))),
        "\\PC{0,8}".prop_map(move |v| {
            pair(
                Parameter::String(v.clone()),
                ParameterChoice::StringParam(v),
            )
        }),
        (-1e9f64..1e9)
            .prop_map(move |v| { pair(Parameter::Float(v), ParameterChoice::DoubleParam(v)) }),
        any::<u64>().prop_map(move |v| {
            let value = i64::try_from(v).map_or(Parameter::Uint(v), Parameter::Int);
            pair(value, ParameterChoice::Uint64Param(v))
        }),
    ]
}

type Named = Vec<(Parameter, InferParameter)>;

fn ours(named: &Named) -> Vec<(String, Parameter)> {
    let named = named.iter().enumerate();
    named
        .map(|(i, (value, _))| (format!("p{i}"), value.clone()))
        .collect()
}

fn theirs(named: &Named) -> BTreeMap<String, InferParameter> {
    let named = named.iter().enumerate();
    named
        .map(|(i, (_, value))| (format!("p{i}"), value.clone()))
        .collect()
}

fn parameters(read: &Parameters) -> Vec<(String, Parameter)> {
    let read = read.iter();
    read.map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

type Inputs = Vec<(Datatype, usize, usize, Vec<u64>, Named)>;

fn inputs() -> impl Strategy<Value = Inputs> {
    let one = (
        proptest::sample::select(Datatype::ALL.to_vec()),
        0usize..4,
        1usize..3,
    )
        .prop_flat_map(|(datatype, rows, columns)| {
            (
                Just(datatype),
                Just(rows),
                Just(columns),
                proptest::collection::vec(any::<u64>(), rows * columns),
                proptest::collection::vec(parameter(), 0..3),
            )
        });
    proptest::collection::vec(one, 1..5)
}

/// A message of these inputs, raw or typed.
fn message(inputs: &Inputs, raw: bool) -> ModelInferRequest {
    let mut message = ModelInferRequest {
        model_name: "m".to_owned(),
        model_version: "1.0.0".to_owned(),
        id: "r-1".to_owned(),
        outputs: vec![InferRequestedOutputTensor {
            name: "y".to_owned(),
            ..InferRequestedOutputTensor::default()
        }],
        ..ModelInferRequest::default()
    };
    for (i, (datatype, rows, columns, seeds, named)) in inputs.iter().enumerate() {
        let (bytes, typed) = elements(*datatype, seeds);
        message.inputs.push(InferInputTensor {
            name: format!("x{i}"),
            datatype: datatype.name().to_owned(),
            shape: vec![*rows as i64, *columns as i64],
            parameters: theirs(named),
            contents: if raw { None } else { typed },
        });
        if raw {
            message.raw_input_contents.push(bytes.into());
        }
    }
    message
}

proptest! {
    #[test]
    fn what_a_client_writes_is_what_is_read(inputs in inputs(), own in proptest::collection::vec(parameter(), 0..3)) {
        let mut sent = message(&inputs, true);
        sent.parameters = theirs(&own);
        let bytes = sent.encode_to_vec();
        prop_assert_eq!(fuzz::grpc(&bytes), Stage::Accepted);
        let found = target(&bytes).unwrap();
        prop_assert_eq!((found.model, found.version, found.id), ("m", Some("1.0.0"), Some("r-1")));
        let read = decode(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(parameters(&read.parameters), ours(&own));
        prop_assert_eq!(read.outputs[0].name.as_str(), "y");
        for (i, (datatype, rows, columns, seeds, named)) in inputs.iter().enumerate() {
            prop_assert_eq!(&read.inputs[i].shape, &[*rows, *columns]);
            prop_assert_eq!(read.inputs[i].data.datatype(), *datatype);
            prop_assert_eq!(read.inputs[i].data.len(), seeds.len());
            let kept = read.input_parameters.get(i).map(parameters).unwrap_or_default();
            prop_assert_eq!(kept, ours(named));
        }
    }

    #[test]
    fn typed_contents_are_the_same_as_raw_ones(inputs in inputs()) {
        let inputs: Inputs = inputs
            .into_iter()
            .filter(|(datatype, ..)| !matches!(datatype, Datatype::Fp16 | Datatype::Bf16))
            .collect();
        prop_assume!(!inputs.is_empty());
        let limits = Limits::default();
        let raw = decode(&message(&inputs, true).encode_to_vec(), &limits).unwrap();
        let bytes = message(&inputs, false).encode_to_vec();
        fuzz::grpc(&bytes);
        let typed = decode(&bytes, &limits).unwrap();
        // NaN is not equal to itself; its bits are.
        prop_assert_eq!(format!("{:?}", raw.inputs), format!("{:?}", typed.inputs));
    }

    #[test]
    fn what_is_answered_is_what_a_client_reads(inputs in inputs(), own in proptest::collection::vec(parameter(), 0..3)) {
        let limits = Limits::default();
        let outputs = decode(&message(&inputs, true).encode_to_vec(), &limits).unwrap().inputs;
        let mut named = Parameters::new();
        for (name, value) in ours(&own) {
            named.push(name, value);
        }
        let response = InferResponse {
            model_name: "m",
            model_version: "1",
            id: Some("r"),
            parameters: &named,
            outputs: &outputs,
            labels: &[],
        };
        let mut bytes = Vec::new();
        encode(&mut bytes, &response, &[]).unwrap();
        let read = ModelInferResponse::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(read.raw_output_contents.len(), outputs.len());
        prop_assert_eq!(read.parameters.len(), own.len());
        for (i, (datatype, rows, columns, seeds, _)) in inputs.iter().enumerate() {
            let due = elements(*datatype, seeds).0;
            prop_assert_eq!(&read.raw_output_contents[i][..], &due[..]);
            prop_assert_eq!(&read.outputs[i].shape, &[*rows as i64, *columns as i64]);
            prop_assert_eq!(read.outputs[i].datatype.as_str(), datatype.name());
        }
        let mut streamed = Vec::new();
        encode_stream(&mut streamed, &StreamReply::Answer(&response, &[])).unwrap();
        let streamed = ModelStreamInferResponse::decode(streamed.as_slice()).unwrap();
        prop_assert_eq!(streamed.infer_response.unwrap(), read);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::grpc(&bytes);
    }

    #[test]
    fn mutated_requests_are_answered(
        inputs in inputs(),
        raw in any::<bool>(),
        changes in proptest::collection::vec((any::<u16>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        let mut bytes = message(&inputs, raw).encode_to_vec();
        for (place, byte, what) in changes {
            let place = usize::from(place) % bytes.len().max(1);
            match what {
                0 if place < bytes.len() => bytes[place] = byte,
                1 if place < bytes.len() => bytes[place] ^= 1 << (byte % 8),
                2 => bytes.insert(place, byte),
                _ => bytes.truncate(place),
            }
        }
        fuzz::grpc(&bytes);
    }
}

/// What a case changes about a request that is fine.
type Change = Box<dyn FnOnce(&mut ModelInferRequest)>;

fn refused(change: impl FnOnce(&mut ModelInferRequest)) -> (ErrorKind, String) {
    let x = (Datatype::Fp32, 2, 1, vec![1, 2], Vec::new());
    let mut sent = message(&vec![x], true);
    change(&mut sent);
    let error = decode(&sent.encode_to_vec(), &Limits::default()).unwrap_err();
    (error.kind, error.message)
}

#[test]
fn what_is_wrong_is_named() {
    let typed = || InferTensorContents {
        fp32_contents: vec![1.0, 2.0],
        ..InferTensorContents::default()
    };
    let cases: Vec<(&str, Change)> = vec![
        ("has no inputs", Box::new(|r| r.inputs.clear())),
        (
            "in one way",
            Box::new(move |r| r.inputs[0].contents = Some(typed())),
        ),
        (
            "2 raw_input_contents for 1",
            Box::new(|r| {
                r.raw_input_contents.push(bytes::Bytes::new());
            }),
        ),
        (
            "needs 2 elements",
            Box::new(|r| r.raw_input_contents.clear()),
        ),
        (
            "do not fill shape",
            Box::new(|r| {
                r.raw_input_contents[0] = vec![0; 7].into();
            }),
        ),
        (
            "unknown datatype",
            Box::new(|r| r.inputs[0].datatype = "FLOAT".to_owned()),
        ),
        ("the entry -1", Box::new(|r| r.inputs[0].shape[0] = -1)),
        ("has no name", Box::new(|r| r.inputs[0].name.clear())),
        (
            "an output has no name",
            Box::new(|r| r.outputs[0].name.clear()),
        ),
        (
            "appears twice",
            Box::new(|r| {
                r.inputs.push(r.inputs[0].clone());
                r.raw_input_contents.push(r.raw_input_contents[0].clone());
            }),
        ),
        (
            "has no value",
            Box::new(|r| {
                r.parameters
                    .insert("a".to_owned(), InferParameter::default());
            }),
        ),
        (
            "is reserved",
            Box::new(|r| {
                let choice = ParameterChoice::Int64Param(1);
                let parameter = InferParameter {
                    parameter_choice: Some(choice),
                };
                r.parameters.insert("triton_a".to_owned(), parameter);
            }),
        ),
        (
            "shared memory",
            Box::new(|r| {
                let choice = ParameterChoice::StringParam("a".to_owned());
                let parameter = InferParameter {
                    parameter_choice: Some(choice),
                };
                r.inputs[0]
                    .parameters
                    .insert("shared_memory_region".to_owned(), parameter);
            }),
        ),
    ];
    for (part, change) in cases {
        let (kind, message) = refused(change);
        assert!(message.contains(part), "{part}: {message}");
        assert!(
            matches!(kind, ErrorKind::InvalidInput | ErrorKind::Unsupported),
            "{part}"
        );
    }
}

#[test]
fn typed_contents_must_fit_their_datatype() {
    let refuse = |datatype: &str, contents: InferTensorContents| {
        let (_, message) = refused(|request| {
            request.raw_input_contents.clear();
            request.inputs[0].datatype = datatype.to_owned();
            request.inputs[0].contents = Some(contents);
        });
        message
    };
    let ints = |values: &[i32]| InferTensorContents {
        int_contents: values.to_vec(),
        ..InferTensorContents::default()
    };
    assert!(refuse("FP32", ints(&[1, 2])).contains("int_contents: send FP32 in fp32_contents"));
    assert!(refuse("INT8", ints(&[1, 300])).contains("300 is out of the range of INT8"));
    assert!(refuse("INT32", ints(&[1])).contains("contents has 1"));
    assert!(refuse("INT32", ints(&[1, 2, 3])).contains("more than the 2 elements"));
    assert!(refuse("FP16", ints(&[1, 2])).contains("raw_input_contents"));
}

#[test]
fn limits_come_before_memory() {
    // Two bytes an input: 64 MiB of them would be 32 million tensors as generated messages.
    let flood = [0x2a, 0x00].repeat(1 << 20);
    let error = decode(&flood, &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    let raw = [0x3a, 0x00].repeat(1 << 20);
    let error = decode(&raw, &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    // A shape that claims 16 TiB.
    let claim = ModelInferRequest {
        inputs: vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: "FP64".to_owned(),
            shape: vec![1 << 20, 1 << 21],
            ..InferInputTensor::default()
        }],
        ..ModelInferRequest::default()
    };
    let error = decode(&claim.encode_to_vec(), &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains("elements"), "{error}");
}

#[test]
fn outputs_are_selected_and_refusals_carry_their_id() {
    let tensor = |name: &str| Tensor::new(name, vec![1], TensorData::Fp32(vec![1.0])).unwrap();
    let outputs = [tensor("a"), tensor("b")];
    let response = InferResponse {
        model_name: "m",
        model_version: "1",
        id: None,
        parameters: &Parameters::new(),
        outputs: &outputs,
        labels: &[],
    };
    let wanted = |name: &str| RequestedOutput {
        name: name.to_owned(),
        binary: None,
        classes: 0,
        parameters: Parameters::new(),
    };
    let mut bytes = Vec::new();
    encode(&mut bytes, &response, &[wanted("b")]).unwrap();
    let read = ModelInferResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(read.outputs.len(), 1);
    assert_eq!(read.outputs[0].name, "b");
    assert!(encode(&mut Vec::new(), &response, &[wanted("c")]).is_err());

    let mut bytes = Vec::new();
    let refusal = StreamReply::Refusal {
        message: "no",
        version: Some("1.1.0"),
        id: Some("r-7"),
        parameters: &Parameters::new(),
    };
    encode_stream(&mut bytes, &refusal).unwrap();
    let read = ModelStreamInferResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(read.error_message, "no");
    let inner = read.infer_response.unwrap();
    assert_eq!((&*inner.id, &*inner.model_version), ("r-7", "1.1.0"));
}
