//! What a body costs to read and a reply to write, without any network.
//!
//! The bodies differ from call to call (there are `VARIED` of each), so that branch predictors do
//! not learn one by heart.

#![allow(clippy::panic)] // A body that cannot be written leaves nothing to measure.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tidegate_benches::samples::{flight, outputs, rows_json, schema, vector};
use tidegate_protocol::infer::{self, InferRequest, InferResponse};
use tidegate_protocol::predict::{self, Predictions};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, Parameter, Parameters, columns};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const VARIED: usize = 64;

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
    let bodies: Vec<String> = (0..VARIED).map(|_| rows_json(rows, &mut state)).collect();
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
            experiment: None,
            prediction_id: "0198c0de-1234",
            outputs: black_box(&replies[next]),
        })));
    });
}
