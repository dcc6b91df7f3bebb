//! Whatever can be said is said and understood: tensors of every datatype and shape, in JSON and
//! in binary, in requests and in replies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Functions shared by the tests are not tests to clippy.

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_protocol::infer::{
    InferRequest, InferResponse, RequestedOutput, decode, decode_response, encode, encode_request,
};
use tidegate_protocol::{Limits, Parameter, Parameters};
use tidegate_schema::{Datatype, Tensor, TensorData};

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    vec(0usize..4, 0..4)
}

fn data(datatype: Datatype, count: usize) -> BoxedStrategy<TensorData> {
    macro_rules! of {
        ($variant:ident, $values:expr) => {
            vec($values, count).prop_map(TensorData::$variant).boxed()
        };
    }
    // Quiet NaNs only: JSON's null reads as the standard one, and halves narrow a payload.
    let half = |bits: u16| half::f16::from_bits(bits);
    let brain = |bits: u16| half::bf16::from_bits(bits);
    match datatype {
        Datatype::Bool => of!(Bool, 0u8..2),
        Datatype::Uint8 => of!(Uint8, any::<u8>()),
        Datatype::Uint16 => of!(Uint16, any::<u16>()),
        Datatype::Uint32 => of!(Uint32, any::<u32>()),
        Datatype::Uint64 => of!(Uint64, any::<u64>()),
        Datatype::Int8 => of!(Int8, any::<i8>()),
        Datatype::Int16 => of!(Int16, any::<i16>()),
        Datatype::Int32 => of!(Int32, any::<i32>()),
        Datatype::Int64 => of!(Int64, any::<i64>()),
        Datatype::Fp16 => of!(
            Fp16,
            any::<u16>().prop_filter("finite", move |bits| half(*bits).is_finite())
        ),
        Datatype::Bf16 => of!(
            Bf16,
            any::<u16>().prop_filter("finite", move |bits| brain(*bits).is_finite())
        ),
        Datatype::Fp32 => of!(
            Fp32,
            any::<u32>()
                .prop_map(f32::from_bits)
                .prop_filter("finite", |value| value.is_finite())
        ),
        Datatype::Fp64 => of!(
            Fp64,
            any::<u64>()
                .prop_map(f64::from_bits)
                .prop_filter("finite", |value| value.is_finite())
        ),
        Datatype::Bytes => of!(Bytes, any::<String>().prop_map(String::into_bytes)),
    }
}

fn tensor(name: String) -> impl Strategy<Value = Tensor> {
    (prop::sample::select(Datatype::ALL.to_vec()), shapes()).prop_flat_map(
        move |(datatype, shape)| {
            let name = name.clone();
            data(datatype, shape.iter().product())
                .prop_map(move |data| Tensor::new(name.clone(), shape.clone(), data).unwrap())
        },
    )
}

fn tensors() -> impl Strategy<Value = Vec<Tensor>> {
    (1usize..5, ".{0,6}").prop_flat_map(|(count, name)| {
        (0..count)
            .map(|i| tensor(format!("{name}{i}")))
            .collect::<Vec<_>>()
    })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let value = prop_oneof![
        any::<bool>().prop_map(Parameter::Bool),
        any::<i64>().prop_map(Parameter::Int),
        (1u64 << 63..).prop_map(Parameter::Uint),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Parameter::Float),
        any::<String>().prop_map(Parameter::String),
    ];
    vec(value, 0..4).prop_map(|values| {
        let mut parameters = Parameters::new();
        for (i, value) in values.into_iter().enumerate() {
            parameters.push(format!("p{i}"), value);
        }
        parameters
    })
}

fn outputs() -> impl Strategy<Value = Vec<RequestedOutput>> {
    let output = (
        "[a-z\"\\\\é]{1,5}",
        any::<Option<bool>>(),
        prop_oneof![Just(0), 1usize..5],
        parameters(),
    );
    vec(
        output.prop_map(|(name, binary, classes, parameters)| RequestedOutput {
            name,
            binary,
            classes,
            parameters,
        }),
        0..3,
    )
}

proptest! {
    #[test]
    fn requests(
        inputs in tensors(),
        id in any::<Option<String>>(),
        parameters in parameters(),
        of_first in parameters(),
        outputs in outputs(),
        binary_default: bool,
        in_binary: bool,
    ) {
        let mut input_parameters = vec![Parameters::new(); inputs.len()];
        if of_first.is_empty() {
            input_parameters.clear();
        } else {
            input_parameters[0] = of_first;
        }
        let request = InferRequest {
            id, parameters, inputs, input_parameters, outputs, binary_default,
        };
        let written = encode_request(&request, in_binary).unwrap();
        prop_assert_eq!(written.header_length.is_some(), in_binary);
        let read = decode(&written.body, written.header_length, &[], &Limits::default());
        prop_assert_eq!(read, Ok(request));
    }

    #[test]
    fn replies(outputs in tensors(), binary: Vec<bool>, all_binary: bool, id in any::<Option<String>>()) {
        let mut parameters = Parameters::new();
        parameters.push("prediction_id", Parameter::String("p\u{1f980}".to_owned()));
        parameters.push("revision", Parameter::Int(3));
        let response = InferResponse {
            model_name: "flight \"delay\"",
            model_version: "1.0.0",
            id: id.as_deref(),
            parameters: &parameters,
            outputs: &outputs,
            labels: &[],
        };
        // Asked for backwards, so that order is the request's.
        let wanted: Vec<RequestedOutput> = outputs
            .iter()
            .zip(&binary)
            .rev()
            .map(|(tensor, binary)| RequestedOutput {
                name: tensor.name.clone(),
                binary: Some(*binary),
                classes: 0,
                parameters: Parameters::new(),
            })
            .collect();
        let written = encode(&response, &wanted, all_binary).unwrap();
        let read = decode_response(&written.body, written.header_length, &Limits::default()).unwrap();
        prop_assert_eq!(&read.id, &id);
        prop_assert_eq!(&read.parameters, &parameters);
        prop_assert_eq!(read.model_version, "1.0.0");
        let due: Vec<Tensor> = if wanted.is_empty() {
            outputs.clone()
        } else {
            outputs.iter().take(binary.len()).rev().cloned().collect()
        };
        prop_assert_eq!(read.outputs, due);
        let any_binary = if wanted.is_empty() {
            all_binary && !outputs.is_empty()
        } else {
            wanted.iter().any(|output| output.binary == Some(true))
        };
        prop_assert_eq!(written.header_length.is_some(), any_binary);
    }

    #[test]
    fn any_bytes(body: Vec<u8>, length in 0usize..64) {
        let _ = decode(&body, None, &[], &Limits::default());
        let _ = decode(&body, Some(length), &[], &Limits::default());
        tidegate_protocol::fuzz::raw(&body);
    }

    #[test]
    fn singles_survive_their_shortest_digits(bits in vec(any::<u32>(), 1000)) {
        // JSON numbers are read as doubles first; this is where double rounding would show.
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
        let tensor = Tensor::new("x", vec![values.len()], TensorData::Fp32(values)).unwrap();
        let request = InferRequest { inputs: vec![tensor], ..InferRequest::default() };
        let written = encode_request(&request, false).unwrap();
        prop_assert_eq!(decode(&written.body, None, &[], &Limits::default()), Ok(request));
    }
}

#[test]
fn every_half_survives_json() {
    for datatype in [Datatype::Fp16, Datatype::Bf16] {
        let all: Vec<u16> = (0..=u16::MAX)
            .filter(|&bits| match datatype {
                Datatype::Fp16 => half::f16::from_bits(bits).is_finite(),
                _ => half::bf16::from_bits(bits).is_finite(),
            })
            .collect();
        let shape = vec![all.len()];
        let data = match datatype {
            Datatype::Fp16 => TensorData::Fp16(all),
            _ => TensorData::Bf16(all),
        };
        let request = InferRequest {
            inputs: vec![Tensor::new("x", shape, data).unwrap()],
            ..InferRequest::default()
        };
        let written = encode_request(&request, false).unwrap();
        let read = decode(&written.body, None, &[], &Limits::default());
        assert_eq!(read, Ok(request));
    }
}

#[test]
fn what_is_not_finite_is_null_in_json_and_itself_in_binary() {
    let values = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0];
    let request = InferRequest {
        inputs: vec![Tensor::new("x", vec![4], TensorData::Fp32(values)).unwrap()],
        ..InferRequest::default()
    };
    let text = encode_request(&request, false).unwrap();
    let shown = String::from_utf8(text.body).unwrap();
    assert!(shown.contains("[null,null,null,-0.0]"), "{shown}");
    let binary = encode_request(&request, true).unwrap();
    let read = decode(&binary.body, binary.header_length, &[], &Limits::default()).unwrap();
    let TensorData::Fp32(values) = &read.inputs[0].data else {
        panic!()
    };
    assert!(values[0].is_nan() && values[1] == f32::INFINITY);
    assert!(values[2] == f32::NEG_INFINITY && values[3].is_sign_negative());
}
