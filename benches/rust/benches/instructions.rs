//! Instructions of the hot functions, counted by valgrind's callgrind: the same on a busy machine as
//! on a quiet one, so a test can hold them.
//!
//! `cargo bench --profile quick -p tidegate-benches --bench instructions` counts each function in a
//! process of its own and fails where one takes more than its budget. A budget is what was counted
//! with the profile `quick` on x86-64 and a tenth; change it with the code that changes the count.
//! Where there is no valgrind, or on another processor, it says that nothing was measured.

#![allow(clippy::panic, clippy::print_stdout)] // What fails here fails the check.

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

use tidegate_benches::batching::{Row, batcher_in_virtual_time};
use tidegate_benches::drift::{Kind, monitor};
use tidegate_benches::routing::{Request, deployed};
use tidegate_benches::{features, samples};
use tidegate_drift::Windows;
use tidegate_protocol::infer::{self, InferRequest, InferResponse};
use tidegate_protocol::predict::{self, Predictions};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, Parameters, grpc};
use tidegate_schema::Result;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many different inputs a function is called with.
const VARIED: usize = 64;
/// Calls of the shorter and of the longer run. What is counted is the difference, so that what is
/// done before the first call does not count.
const SHORTER: usize = 200;
const LONGER: usize = 1_200;

/// A function whose instructions are counted.
struct Hot {
    name: &'static str,
    /// Prepares the inputs and calls the function so often.
    run: fn(usize) -> Result<()>,
    /// Most instructions of one call.
    at_most: u64,
}

const HOT: [Hot; 13] = [
    Hot {
        name: "decode_v2_json",
        run: |calls| decode(calls, false),
        at_most: 8_100,
    },
    Hot {
        name: "decode_v2_binary",
        run: |calls| decode(calls, true),
        at_most: 5_100,
    },
    Hot {
        name: "decode_grpc",
        run: decode_grpc,
        at_most: 4_050,
    },
    Hot {
        name: "decode_rows",
        run: decode_rows,
        at_most: 16_700,
    },
    Hot {
        name: "encode_v2_json",
        run: |calls| encode(calls, false),
        at_most: 3_850,
    },
    Hot {
        name: "encode_v2_binary",
        run: |calls| encode(calls, true),
        at_most: 4_700,
    },
    Hot {
        name: "encode_grpc",
        run: encode_grpc,
        at_most: 2_250,
    },
    Hot {
        name: "encode_predictions",
        run: encode_predictions,
        at_most: 3_150,
    },
    Hot {
        name: "features_of_a_row",
        run: features_of_a_row,
        at_most: 11_400,
    },
    Hot {
        name: "watch_a_row",
        run: watch_a_row,
        at_most: 7_000,
    },
    Hot {
        name: "route_a_request",
        run: |calls| route(calls, "single"),
        at_most: 330,
    },
    Hot {
        name: "split_a_request",
        run: |calls| route(calls, "canary"),
        at_most: 760,
    },
    Hot {
        name: "turn_of_32_works",
        run: turn,
        at_most: 25_500,
    },
];

fn decode(calls: usize, in_binary: bool) -> Result<()> {
    let mut state = 1;
    let body = |_| infer::encode_request(&samples::vector(&mut state), in_binary);
    let bodies = (0..VARIED).map(body).collect::<Result<Vec<_>>>()?;
    let limits = Limits::default();
    for body in bodies.iter().cycle().take(calls) {
        let bytes = black_box(&body.body);
        black_box(infer::decode(bytes, body.header_length, &[], &limits)?);
    }
    Ok(())
}

/// What a gRPC client sends: the tensor as bytes.
fn message(request: &InferRequest) -> Vec<u8> {
    let input =
        |tensor: &tidegate_schema::Tensor| grpc::messages::model_infer_request::InferInputTensor {
            name: tensor.name.clone(),
            datatype: tensor.data.datatype().name().to_owned(),
            shape: tensor.shape.iter().map(|extent| *extent as i64).collect(),
            ..Default::default()
        };
    let bytes = |tensor: &tidegate_schema::Tensor| match &tensor.data {
        tidegate_schema::TensorData::Fp32(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        other => panic!("{other:?} is not sent here"),
    };
    prost::Message::encode_to_vec(&grpc::messages::ModelInferRequest {
        model_name: "trees".to_owned(),
        inputs: request.inputs.iter().map(input).collect(),
        raw_input_contents: request.inputs.iter().map(bytes).collect(),
        ..Default::default()
    })
}

fn decode_grpc(calls: usize) -> Result<()> {
    let mut state = 1;
    let messages: Vec<_> = (0..VARIED)
        .map(|_| message(&samples::vector(&mut state)))
        .collect();
    let limits = Limits::default();
    for message in messages.iter().cycle().take(calls) {
        black_box(grpc::decode(black_box(message), &limits)?);
    }
    Ok(())
}

fn decode_rows(calls: usize) -> Result<()> {
    let mut state = 1;
    let bodies: Vec<_> = (0..VARIED)
        .map(|_| samples::rows_json(1, &mut state))
        .collect();
    let (schema, limits) = (samples::schema(), Limits::default());
    for body in bodies.iter().cycle().take(calls) {
        let bytes = black_box(body.as_bytes());
        black_box(rows::decode(bytes, &schema, Extra::Refuse, &limits)?);
    }
    Ok(())
}

/// Calls `write` with replies of one row.
fn reply(calls: usize, write: impl Fn(&InferResponse<'_>) -> Result<()>) -> Result<()> {
    let mut state = 1;
    let replies: Vec<_> = (0..VARIED)
        .map(|_| samples::outputs(1, &mut state))
        .collect();
    let parameters = Parameters::new();
    for outputs in replies.iter().cycle().take(calls) {
        write(&InferResponse {
            model_name: "trees",
            model_version: "1.0.0",
            id: None,
            parameters: &parameters,
            outputs: black_box(outputs),
            labels: &[],
        })?;
    }
    Ok(())
}

fn encode(calls: usize, in_binary: bool) -> Result<()> {
    reply(calls, |response| {
        black_box(infer::encode(response, &[], in_binary)?);
        Ok(())
    })
}

fn encode_grpc(calls: usize) -> Result<()> {
    reply(calls, |response| {
        let mut out = Vec::with_capacity(256);
        grpc::encode(&mut out, response, &[])?;
        black_box(out);
        Ok(())
    })
}

fn encode_predictions(calls: usize) -> Result<()> {
    reply(calls, |response| {
        black_box(predict::encode(&Predictions {
            model_name: response.model_name,
            model_version: response.model_version,
            revision: 7,
            experiment: None,
            prediction_id: "0198c0de-1234",
            outputs: response.outputs,
        })?);
        Ok(())
    })
}

fn features_of_a_row(calls: usize) -> Result<()> {
    let plan = features::fit(&features::table(10_000));
    let all = features::table(VARIED);
    let all = all.view()?;
    let rows: Vec<_> = (0..VARIED).map(|row| features::copy(&all, row)).collect();
    let mut out = vec![0.0; plan.width()];
    for row in rows.iter().cycle().take(calls) {
        plan.transform_into(&row.view()?, black_box(&mut out))?;
    }
    Ok(())
}

fn watch_a_row(calls: usize) -> Result<()> {
    let windows = Windows {
        rows: u64::MAX,
        ..Windows::default()
    };
    let (mut monitor, table) = (
        monitor(Kind::Flights, windows)?,
        Kind::Flights.table(VARIED),
    );
    let view = table.view()?;
    for call in 0..calls {
        monitor.observe(black_box(&view.slice(call % VARIED, 1)), 1.0)?;
    }
    Ok(())
}

fn route(calls: usize, name: &str) -> Result<()> {
    let runtime = deployed()?;
    let user = |number| Request {
        user: format!("user-{number}"),
    };
    let requests: Vec<_> = (0..VARIED).map(user).collect();
    for request in requests.iter().cycle().take(calls) {
        black_box(runtime.choose(black_box(name), None, request)?);
    }
    Ok(())
}

fn turn(calls: usize) -> Result<()> {
    let arrived = Instant::now();
    let batcher = batcher_in_virtual_time(arrived).unwrap_or_else(|| panic!("no batcher"));
    for _ in 0..calls {
        for _ in 0..32 {
            let _ = batcher.enqueue(Row { arrived });
        }
        batcher.flush();
    }
    batcher.close();
    Ok(())
}

/// Instructions of a process that calls a function so often.
fn counted(name: &str, calls: usize) -> std::result::Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &calls.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start ({error}): install it to measure"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| {
        let (_, count) = line.split_once("Collected :")?;
        count.trim().parse().ok()
    });
    match count {
        Some(count) if output.status.success() => Ok(count),
        _ => panic!("{name} failed under valgrind: {said}"),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, calls] = arguments.as_slice()
        && let (Some(hot), Ok(calls)) = (HOT.iter().find(|hot| hot.name == name), calls.parse())
    {
        // The process that is counted.
        return match (hot.run)(calls) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => panic!("{name}: {error}"),
        };
    }
    if !cfg!(target_arch = "x86_64") {
        println!("instructions: not measured: the budgets are for x86-64");
        return ExitCode::SUCCESS;
    }
    let mut met = true;
    println!(
        "{:<20} {:>14} {:>10}",
        "instructions", "one call", "at most"
    );
    for hot in &HOT {
        let runs = (counted(hot.name, SHORTER), counted(hot.name, LONGER));
        let (Ok(shorter), Ok(longer)) = runs else {
            let why = runs.0.err().or(runs.1.err()).unwrap_or_default();
            println!("instructions: not measured: {why}");
            return ExitCode::SUCCESS;
        };
        let one = longer.saturating_sub(shorter) / (LONGER - SHORTER) as u64;
        let verdict = if one > hot.at_most { "MISSED" } else { "" };
        println!("{:<20} {one:>14} {:>10} {verdict}", hot.name, hot.at_most);
        met &= one <= hot.at_most;
    }
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
