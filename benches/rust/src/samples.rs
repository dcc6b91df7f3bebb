//! Bodies and tables that the benchmarks share. They differ from call to call, so that branch
//! predictors do not learn one by heart.

#![allow(clippy::panic)] // A body that cannot be written leaves nothing to measure.

use tidegate_protocol::infer::InferRequest;
use tidegate_schema::{DType, Field, Schema, Tensor, TensorData};

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

/// The columns of a flight.
#[must_use]
pub fn schema() -> Schema {
    let numeric = NUMERIC.map(|name| Field::nullable(name, DType::Float64));
    let text = TEXT.map(|name| Field::nullable(name, DType::String));
    Schema::new(numeric.into_iter().chain(text).collect()).unwrap_or_else(|error| panic!("{error}"))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number of at most five digits.
pub fn value(state: &mut u64) -> f64 {
    (random(state) % 100_000) as f64 / 100.0
}

/// One of six texts.
pub fn word(state: &mut u64) -> &'static str {
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
#[must_use]
pub fn flight(rows: usize, state: &mut u64) -> InferRequest {
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
#[must_use]
pub fn vector(state: &mut u64) -> InferRequest {
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

/// `rows` flights as row JSON.
#[must_use]
pub fn rows_json(rows: usize, state: &mut u64) -> String {
    let one = |state: &mut u64| {
        let numeric = NUMERIC.map(|name| format!("\"{name}\":{}", value(state)));
        let text = TEXT.map(|name| format!("\"{name}\":\"{}\"", word(state)));
        format!("{{{},{}}}", numeric.join(","), text.join(","))
    };
    let all: Vec<_> = (0..rows).map(|_| one(state)).collect();
    format!("{{\"instances\":[{}]}}", all.join(","))
}

/// A label and two probabilities a row.
#[must_use]
pub fn outputs(rows: usize, state: &mut u64) -> Vec<Tensor> {
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
