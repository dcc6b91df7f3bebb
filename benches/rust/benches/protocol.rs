//! What a body costs to read and a reply to write, without any network.
//!
//! The bodies differ from call to call (there are `VARIED` of each), so that branch predictors do
//! not learn one by heart.

#![allow(clippy::panic)] // A body that cannot be written leaves nothing to measure.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tidegate_protocol::infer::{self, InferRequest, InferResponse};
use tidegate_protocol::predict::{self, Predictions};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, Parameter, Parameters, columns};
use tidegate_schema::{DType, Field, Schema, Tensor, TensorData};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const VARIED: usize = 64;

const NUMERIC: [&str; 10] = [
    "hour",
    "distance",
    "year",
    "seats",
    "engines",
    "temp",
    "humid",
    "wind_speed",
    "precip",
    "visib",
];
const TEXT: [&str; 6] = ["carrier", "origin", "dest", "manufacturer", "model", "type"];

fn schema() -> Schema {
    let numeric = NUMERIC.map(|name| Field::nullable(name, DType::Float64));
    let text = TEXT.map(|name| Field::nullable(name, DType::String));
    Schema::new(numeric.into_iter().chain(text).collect()).unwrap_or_else(|error| panic!("{error}"))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn value(state: &mut u64) -> f64 {
    (random(state) % 100_000) as f64 / 100.0
}

fn word(state: &mut u64) -> &'static str {
    [
        "UA",
        "EWR",
        "JFK",
        "BOEING",
        "737-824",
        "Fixed wing multi engine",
    ][random(state) as usize % 6]
}

/// A flight as a V2 request, one tensor a column.
fn flight(rows: usize, state: &mut u64) -> InferRequest {
    let numeric = NUMERIC.map(|name| {
        let values = (0..rows).map(|_| value(state)).collect();
        tensor(name, vec![rows, 1], TensorData::Fp64(values))
    });
    let text = TEXT.map(|name| {
        let values = (0..rows).map(|_| word(state).as_bytes().to_vec()).collect();
        tensor(name, vec![rows, 1], TensorData::Bytes(values))
    });
    InferRequest {
        inputs: numeric.into_iter().chain(text).collect(),
        ..InferRequest::default()
    }
}

/// Twenty floats in one tensor.
fn vector(state: &mut u64) -> InferRequest {
    let values = (0..20).map(|_| value(state) as f32).collect();
    InferRequest {
        inputs: vec![tensor("x", vec![1, 20], TensorData::Fp32(values))],
        ..InferRequest::default()
    }
}

fn tensor(name: &str, shape: Vec<usize>, data: TensorData) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape,
        data,
    }
}

fn bench_decode(bencher: Bencher, in_binary: bool, request: impl Fn(&mut u64) -> InferRequest) {
    let mut state = 1;
    let bodies: Vec<_> = (0..VARIED)
        .map(|_| infer::encode_request(&request(&mut state), in_binary))
        .map(|body| body.unwrap_or_else(|error| panic!("{error}")))
        .collect();
    let limits = Limits::default();
    let mut next = 0;
    bencher
        .counter(BytesCount::new(bodies[0].body.len()))
        .bench_local(|| {
            next = (next + 1) % VARIED;
            let body = &bodies[next];
            // Dropped within the measurement: an answered request gives its memory back.
            drop(black_box(infer::decode(
                black_box(&body.body),
                body.header_length,
                &[],
                &limits,
            )));
        });
}

#[divan::bench(args = [1, 100])]
fn decode_flights_json(bencher: Bencher, rows: usize) {
    bench_decode(bencher, false, |state| flight(rows, state));
}

#[divan::bench(args = [1, 100])]
fn decode_flights_binary(bencher: Bencher, rows: usize) {
    bench_decode(bencher, true, |state| flight(rows, state));
}

#[divan::bench]
fn decode_vector_json(bencher: Bencher) {
    bench_decode(bencher, false, vector);
}

#[divan::bench]
fn decode_vector_binary(bencher: Bencher) {
    bench_decode(bencher, true, vector);
}

#[divan::bench(args = [1, 100])]
fn decode_rows(bencher: Bencher, rows: usize) {
    let mut state = 1;
    let bodies: Vec<String> = (0..VARIED)
        .map(|_| {
            let one = |state: &mut u64| {
                let numeric = NUMERIC.map(|name| format!("\"{name}\":{}", value(state)));
                let text = TEXT.map(|name| format!("\"{name}\":\"{}\"", word(state)));
                format!("{{{},{}}}", numeric.join(","), text.join(","))
            };
            let all: Vec<_> = (0..rows).map(|_| one(&mut state)).collect();
            format!("{{\"instances\":[{}]}}", all.join(","))
        })
        .collect();
    let (schema, limits) = (schema(), Limits::default());
    let mut next = 0;
    bencher
        .counter(BytesCount::new(bodies[0].len()))
        .bench_local(|| {
            next = (next + 1) % VARIED;
            let body = black_box(bodies[next].as_bytes());
            drop(black_box(rows::decode(
                body,
                &schema,
                Extra::Refuse,
                &limits,
            )));
        });
}

#[divan::bench(args = [1, 100])]
fn tensors_to_columns(bencher: Bencher, rows: usize) {
    let schema = schema();
    let request = flight(rows, &mut 1);
    bencher.bench_local(|| {
        drop(black_box(columns::from_tensors(
            black_box(&request.inputs),
            &schema,
        )));
    });
}

fn outputs(rows: usize, state: &mut u64) -> Vec<Tensor> {
    let probabilities = (0..2 * rows)
        .map(|_| (value(state) / 1000.0) as f32)
        .collect();
    vec![
        tensor("label", vec![rows], TensorData::Int64(vec![1; rows])),
        tensor(
            "probabilities",
            vec![rows, 2],
            TensorData::Fp32(probabilities),
        ),
    ]
}

#[divan::bench(args = [1, 100])]
fn encode_reply_json(bencher: Bencher, rows: usize) {
    encode_reply(bencher, rows, false);
}

#[divan::bench(args = [1, 100])]
fn encode_reply_binary(bencher: Bencher, rows: usize) {
    encode_reply(bencher, rows, true);
}

fn encode_reply(bencher: Bencher, rows: usize, in_binary: bool) {
    let mut state = 1;
    let replies: Vec<_> = (0..VARIED).map(|_| outputs(rows, &mut state)).collect();
    let mut parameters = Parameters::new();
    parameters.push(
        "prediction_id",
        Parameter::String("0198c0de-1234".to_owned()),
    );
    parameters.push("revision", Parameter::Int(7));
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % VARIED;
        let response = InferResponse {
            model_name: "flight-delay",
            model_version: "1.0.0",
            id: None,
            parameters: &parameters,
            outputs: black_box(&replies[next]),
            labels: &[],
        };
        drop(black_box(infer::encode(&response, &[], in_binary)));
    });
}

#[divan::bench(args = [1, 100])]
fn encode_predictions(bencher: Bencher, rows: usize) {
    let mut state = 1;
    let replies: Vec<_> = (0..VARIED).map(|_| outputs(rows, &mut state)).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % VARIED;
        drop(black_box(predict::encode(&Predictions {
            model_name: "flight-delay",
            model_version: "1.0.0",
            revision: 7,
            prediction_id: "0198c0de-1234",
            outputs: black_box(&replies[next]),
        })));
    });
}
