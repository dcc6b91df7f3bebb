//! Load over gRPC: a closed loop of inferences of one row, every answer checked.
//!
//! One thread drives all connections, one request at a time on each, over the `h2` crate alone: a
//! whole client would be busier than the server that it measures. The cases are those of the
//! HTTP benchmarks, sent as raw tensors.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --example grpc_load -- PLAN.json
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message;
use serde::Deserialize;
use tidegate_load::{Errors, Histogram, Latency, Report};
use tidegate_protocol::grpc::messages::{
    ModelInferRequest, ModelInferResponse, model_infer_request::InferInputTensor,
};
use tokio::net::TcpStream;

type Failure = Box<dyn Error>;

/// What to send, and for how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    address: String,
    model: String,
    /// Written by `tidegate.bench.load.write_cases`.
    cases: String,
    connections: usize,
    seconds: f64,
    /// The output whose numbers are compared; none takes any answer.
    output: Option<String>,
}

#[derive(Deserialize)]
struct Cases {
    bodies: Vec<String>,
    expected: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Body {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    data: Vec<f32>,
}

/// One request as it goes out, and the numbers that are due.
struct Case {
    frame: Bytes,
    expected: Vec<f32>,
}

#[derive(Default)]
struct Tally {
    latencies: Histogram,
    errors: Errors,
    first_error: Option<String>,
}

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("give a plan as JSON file")?;
    let plan: Plan = serde_json::from_slice(&std::fs::read(path)?)?;
    let cases = read(&plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(tokio::task::LocalSet::new().run_until(drive(plan, cases)))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn read(plan: &Plan) -> Result<Vec<Case>, Failure> {
    let cases: Cases = serde_json::from_slice(&std::fs::read(&plan.cases)?)?;
    let one = |(body, expected): (String, Vec<f32>)| -> Result<Case, Failure> {
        let body: Body = serde_json::from_slice(&BASE64_STANDARD.decode(body)?)?;
        let mut request = ModelInferRequest {
            model_name: plan.model.clone(),
            ..ModelInferRequest::default()
        };
        for input in body.inputs {
            let raw = input.data.iter().flat_map(|number| number.to_le_bytes());
            request.raw_input_contents.push(raw.collect());
            request.inputs.push(InferInputTensor {
                name: input.name,
                datatype: input.datatype,
                shape: input.shape,
                ..InferInputTensor::default()
            });
        }
        let message = request.encode_to_vec();
        // Not compressed, then the length.
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
        frame.extend_from_slice(&message);
        let frame = frame.into();
        Ok(Case { frame, expected })
    };
    let both = cases.bodies.into_iter().zip(cases.expected);
    both.map(one).collect()
}

async fn drive(plan: Plan, cases: Vec<Case>) -> Result<Report, Failure> {
    let mut clients = Vec::new();
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(&plan.address).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = h2::client::handshake(stream).await?;
        // Its end shows in the requests.
        tokio::task::spawn_local(async move { drop(connection.await) });
        clients.push(client);
    }
    let (plan, cases) = (std::rc::Rc::new(plan), std::rc::Rc::new(cases));
    let end = Instant::now() + Duration::from_secs_f64(plan.seconds);
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(at, client)| {
            let (plan, cases) = (plan.clone(), cases.clone());
            tokio::task::spawn_local(async move { converse(&plan, &cases, client, at, end).await })
        })
        .collect();
    let mut all = Tally::default();
    for task in tasks {
        let one = task.await?;
        all.latencies.merge(&one.latencies);
        all.errors.status += one.errors.status;
        all.errors.mismatch += one.errors.mismatch;
        all.errors.closed += one.errors.closed;
        all.first_error = all.first_error.or(one.first_error);
    }
    let requests = all.latencies.count();
    Ok(Report {
        requests,
        seconds: plan.seconds,
        rate: requests as f64 / plan.seconds,
        within: requests,
        refused: 0,
        dropped: 0,
        latency_us: Latency::of(&all.latencies),
        errors: all.errors,
        first_error: all.first_error,
    })
}

/// One request after the other on one connection.
async fn converse(
    plan: &Plan,
    cases: &[Case],
    mut client: SendRequest<Bytes>,
    at: usize,
    end: Instant,
) -> Tally {
    let mut tally = Tally::default();
    // Every connection goes its own way through the cases.
    let mut next = at * 997;
    while Instant::now() < end {
        next += 1;
        let Some(case) = cases.get(next % cases.len().max(1)) else {
            break;
        };
        let begin = Instant::now();
        match ask(plan, &mut client, case.frame.clone()).await {
            Ok(answer) => match wrong(plan, &answer, &case.expected) {
                None if Instant::now() < end => {
                    let took = begin.elapsed().as_nanos();
                    tally
                        .latencies
                        .record(u64::try_from(took).unwrap_or(u64::MAX));
                }
                None => {}
                Some(why) => {
                    tally.errors.mismatch += 1;
                    tally.first_error.get_or_insert(why);
                }
            },
            Err(error) => {
                tally.errors.closed += 1;
                tally.first_error.get_or_insert(error.to_string());
                break;
            }
        }
    }
    tally
}

async fn ask(
    plan: &Plan,
    client: &mut SendRequest<Bytes>,
    frame: Bytes,
) -> Result<Vec<u8>, Failure> {
    let request = http::Request::post(format!(
        "http://{}/inference.GRPCInferenceService/ModelInfer",
        plan.address
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .body(())?;
    std::future::poll_fn(|context| client.poll_ready(context)).await?;
    let (answer, mut sender) = client.send_request(request, false)?;
    sender.send_data(frame, true)?;
    let answer = answer.await?;
    let refused = |fields: &http::HeaderMap| -> Option<String> {
        let code = fields.get("grpc-status")?;
        (code != "0").then(|| format!("grpc-status {code:?}, {:?}", fields.get("grpc-message")))
    };
    if let Some(why) = refused(answer.headers()) {
        return Err(why.into());
    }
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        bytes.extend_from_slice(&part);
    }
    match body.trailers().await? {
        Some(fields) => refused(&fields).map_or(Ok(bytes), |why| Err(why.into())),
        None => Err("the answer has no trailers".into()),
    }
}

/// Why an answer is not the one that is due.
fn wrong(plan: &Plan, bytes: &[u8], expected: &[f32]) -> Option<String> {
    let Some(output) = &plan.output else {
        return None;
    };
    let answer = match ModelInferResponse::decode(bytes.get(5..).unwrap_or(&[])) {
        Ok(answer) => answer,
        Err(error) => return Some(error.to_string()),
    };
    let at = answer.outputs.iter().position(|one| one.name == *output);
    let raw = at.and_then(|at| answer.raw_output_contents.get(at));
    let Some(raw) = raw else {
        return Some(format!("there is no raw output {output:?}"));
    };
    let (numbers, rest) = raw.as_chunks::<4>();
    let found: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4;
    let right =
        rest.is_empty() && found.len() == expected.len() && found.iter().zip(expected).all(close);
    (!right).then(|| format!("{found:?} instead of {expected:?}"))
}
