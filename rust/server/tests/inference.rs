//! Inference over HTTP with a model that is made here: its output is twice its input.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_runtime::backend::{Backend, Slab};
use tidegate_runtime::{LoadOptions, Runtime, TensorInfo};
use tidegate_schema::{Datatype, Error, ErrorKind, Result, Tensor, TensorData};
use tidegate_server::{Options, Running, Server};
use wire::Client;

/// Doubles its input; takes its time; fails where a value is -1.
struct Twice {
    info: Vec<TensorInfo>,
    output: Vec<TensorInfo>,
    pause: Duration,
    runs: Arc<AtomicUsize>,
}

impl Backend for Twice {
    fn inputs(&self) -> &[TensorInfo] {
        &self.info
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.output
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(self.pause);
        let TensorData::Fp32(values) = inputs[0].data else {
            return Err(Error::internal("not FP32"));
        };
        if values.contains(&-1.0) {
            return Err(Error::new(
                ErrorKind::Backend,
                "the model failed on purpose",
            ));
        }
        let twice = values.iter().map(|value| value * 2.0).collect();
        let shape = inputs[0].shape.to_vec();
        Ok(vec![Tensor::new("y", shape, TensorData::Fp32(twice))?])
    }
}

fn info(name: &str) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![-1, 2],
    }
}

fn serve(pause: Duration, options: Options) -> (Running, Arc<Runtime>, Arc<AtomicUsize>) {
    let runtime = Runtime::new(&tidegate_runtime::Options::default()).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let backend = Twice {
        info: vec![info("x")],
        output: vec![info("y")],
        pause,
        runs: Arc::clone(&runs),
    };
    let model = runtime
        .load_backend("twice", "1.0.0", Box::new(backend), &LoadOptions::default())
        .unwrap();
    runtime.deploy("twice", model, 3).unwrap();
    let server = Server::start(Arc::clone(&runtime), options).unwrap();
    (server, runtime, runs)
}

fn local() -> Options {
    Options {
        address: "127.0.0.1:0".to_owned(),
        workers: 1,
        ..Options::default()
    }
}

fn body(values: &[f32]) -> Vec<u8> {
    let input =
        json!({"name": "x", "shape": [values.len() / 2, 2], "datatype": "FP32", "data": values});
    json!({"id": "mine", "inputs": [input]})
        .to_string()
        .into_bytes()
}

const INFER: &str = "/v2/models/twice/infer";

#[test]
fn json_in_json_out() {
    let (server, ..) = serve(Duration::ZERO, local());
    let mut client = Client::new(server.address());
    for path in [
        INFER,
        "/v2/models/twice/versions/1.0.0/infer",
        "/v2/models/t%77ice/infer/",
    ] {
        let answer = client.ask("POST", path, "", &body(&[1.0, 2.5]));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("inference-header-content-length"), None);
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(value["model_name"], "twice");
        assert_eq!(value["model_version"], "1.0.0");
        assert_eq!(value["id"], "mine");
        assert_eq!(value["parameters"]["revision"], 3);
        assert!(value["parameters"]["prediction_id"].is_string());
        assert_eq!(value["outputs"][0]["data"], json!([2.0, 5.0]));
        assert_eq!(value["outputs"][0]["shape"], json!([1, 2]));
    }
}

#[test]
fn binary_in_binary_out() {
    let (server, ..) = serve(Duration::ZERO, local());
    let mut client = Client::new(server.address());
    let head = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],"parameters":{"binary_data_output":true}}"#;
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend_from_slice(&1.5f32.to_le_bytes());
    bytes.extend_from_slice(&(-2f32).to_le_bytes());
    let header = format!("inference-header-content-length: {}\r\n", head.len());
    let answer = client.ask("POST", INFER, &header, &bytes);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    let json: usize = answer
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    let tail = &answer.body[json..];
    assert_eq!(tail, [3f32.to_le_bytes(), (-4f32).to_le_bytes()].concat());
    let answer = client.ask(
        "POST",
        INFER,
        "inference-header-content-length: many\r\n",
        &bytes,
    );
    assert_eq!(answer.status, 400);
    let answer = client.ask(
        "POST",
        INFER,
        "inference-header-content-length: 9999\r\n",
        &bytes,
    );
    assert_eq!(answer.status, 400);
}

#[test]
fn mistakes_are_told_and_the_next_request_is_served() {
    let (server, ..) = serve(Duration::ZERO, local());
    let mut client = Client::new(server.address());
    for (bytes, status, word) in [
        (b"{".to_vec(), 400, "JSON"),
        (b"".to_vec(), 400, ""),
        (b"{}".to_vec(), 400, "inputs"),
        (body(&[-1.0, 0.0]), 500, "on purpose"),
    ] {
        let answer = client.ask("POST", INFER, "", &bytes);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(word), "{}", answer.text());
        let answer = client.ask("POST", INFER, "", &body(&[1.0, 2.0]));
        assert_eq!(answer.status, 200);
    }
    let rows = client.ask(
        "POST",
        "/v1/models/twice:predict",
        "",
        b"{\"instances\":[{}]}",
    );
    assert_eq!(rows.status, 400);
    assert!(rows.text().contains("/v2/models/twice/infer"));
    let timeout = json!({
        "parameters": {"timeout": "soon"},
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
    });
    let answer = client.ask("POST", INFER, "", timeout.to_string().as_bytes());
    assert_eq!(answer.status, 400);
}

#[test]
fn metadata_readiness_config_index_and_statistics() {
    let (server, ..) = serve(Duration::ZERO, local());
    let mut client = Client::new(server.address());
    assert_eq!(
        client.ask("POST", INFER, "", &body(&[1.0, 2.0])).status,
        200
    );
    let mut get = |path: &str| {
        let answer = client.ask("GET", path, "", b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let model = get("/v2/models/twice");
    assert_eq!(model["versions"], json!(["1.0.0"]));
    assert_eq!(model["inputs"][0]["shape"], json!([-1, 2]));
    assert_eq!(
        get("/v2/models/twice/ready"),
        json!({"name": "twice", "ready": true})
    );
    assert_eq!(
        get("/v2/models/twice/config")["input"][0]["dims"],
        json!([2])
    );
    let stats = get("/v2/models/twice/versions/1.0.0/stats");
    assert_eq!(stats["model_stats"][0]["inference_count"], 1);
    assert_eq!(get("/v2/models/stats")["model_stats"][0]["name"], "twice");
    assert_eq!(get("/v2/models"), json!({"models": ["twice"]}));
    assert_eq!(get("/v1/models/twice")["columns"], Value::Null);
    let index = client.ask("POST", "/v2/repository/index", "", b"");
    let index: Value = serde_json::from_slice(&index.body).unwrap();
    assert_eq!(index[0]["state"], "READY");
}

#[test]
fn a_large_body_leaves_the_event_loop_to_others() {
    let (server, ..) = serve(Duration::ZERO, local());
    let address = server.address();
    let values: Vec<f32> = (0..400_000).map(|i| i as f32 / 7.0).collect();
    let bytes = body(&values);
    assert!(bytes.len() > 2_000_000);
    let large = std::thread::spawn(move || {
        let mut client = Client::new(address);
        client
            .0
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        client.ask("POST", INFER, "accept-encoding: gzip\r\n", &bytes)
    });
    let mut small = Client::new(address);
    while !large.is_finished() {
        assert_eq!(small.ask("POST", INFER, "", &body(&[1.0, 2.0])).status, 200);
    }
    let answer = large.join().unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    let mut reader = flate2::read::GzDecoder::new(&answer.body[..]);
    std::io::Read::read_to_string(&mut reader, &mut plain).unwrap();
    let value: Value = serde_json::from_str(&plain).unwrap();
    let doubled: Vec<f32> = serde_json::from_value(value["outputs"][0]["data"].clone()).unwrap();
    assert_eq!(doubled.len(), values.len());
    assert!(doubled.iter().zip(&values).all(|(d, v)| *d == v * 2.0));
}

#[test]
fn what_arrives_together_runs_together() {
    const CLIENTS: usize = 32;
    const ROUNDS: usize = 20;
    let (server, runtime, runs) = serve(Duration::from_micros(300), local());
    let address = server.address();
    let threads: Vec<_> = (0..CLIENTS)
        .map(|n| {
            std::thread::spawn(move || {
                let mut client = Client::new(address);
                for round in 0..ROUNDS {
                    let value = (n * ROUNDS + round) as f32;
                    let answer = client.ask("POST", INFER, "", &body(&[value, 0.5]));
                    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
                    assert_eq!(answer["outputs"][0]["data"], json!([value * 2.0, 1.0]));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mean = (CLIENTS * ROUNDS) as f64 / runs.load(Ordering::Relaxed) as f64;
    assert!(mean > 4.0, "the mean batch is {mean}");
    let statistics = runtime.model("twice", None).unwrap().statistics();
    assert_eq!(statistics.rows, (CLIENTS * ROUNDS) as u64);
}

#[test]
fn work_of_clients_that_have_gone_is_dropped() {
    let (server, _runtime, runs) = serve(Duration::from_millis(200), local());
    let mut first = Client::new(server.address());
    let bytes = body(&[1.0, 2.0]);
    let request = |bytes: &[u8]| {
        let mut request = format!(
            "POST {INFER} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        )
        .into_bytes();
        request.extend_from_slice(bytes);
        request
    };
    first.send(request(&bytes));
    std::thread::sleep(Duration::from_millis(60));
    let mut gone = Client::new(server.address());
    gone.send(request(&bytes));
    std::thread::sleep(Duration::from_millis(60));
    drop(gone);
    assert_eq!(first.read().unwrap().status, 200);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_deadline_that_passes_in_the_queue_is_504() {
    let (server, ..) = serve(Duration::from_millis(200), local());
    let address = server.address();
    let busy =
        std::thread::spawn(move || Client::new(address).ask("POST", INFER, "", &body(&[1.0, 2.0])));
    std::thread::sleep(Duration::from_millis(60));
    let hurried = json!({
        "parameters": {"timeout": 1000},
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
    });
    let answer = Client::new(address).ask("POST", INFER, "", hurried.to_string().as_bytes());
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert_eq!(busy.join().unwrap().status, 200);
}

#[test]
fn a_drain_answers_what_the_model_is_at() {
    let (server, ..) = serve(Duration::from_millis(300), local());
    let address = server.address();
    let asking: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                Client::new(address).ask("POST", INFER, "", &body(&[1.0, 2.0]))
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    assert!(server.drain(Duration::from_secs(10)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    for thread in asking {
        assert_eq!(thread.join().unwrap().status, 200);
    }
}
