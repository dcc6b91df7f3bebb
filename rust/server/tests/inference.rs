//! Inference over HTTP with a model that is made here: its output is twice its input.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tidegate_runtime::{CallOptions, Input, LoadOptions, Reason};
use tidegate_schema::{Tensor, TensorData};
use tidegate_server::{Service, Shared};
use wire::subject::{Subject, local};
use wire::{Client, PATIENCE, until};

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
    let server = Subject::new().serve();
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
    let server = Subject::new().serve();
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
    let server = Subject::new().serve();
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
    let server = Subject::new().serve();
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
    let subject = Subject::new();
    let server = subject.serve();
    let address = server.address();
    let values: Vec<f32> = (0..400_000).map(|i| i as f32 / 7.0).collect();
    let bytes = body(&values);
    assert!(bytes.len() > 2_000_000);
    let mut small = Client::new(address);
    let closed = subject.door.lock().unwrap();
    let large = std::thread::spawn(move || {
        Client::new(address).ask("POST", INFER, "accept-encoding: gzip\r\n", &bytes)
    });
    until("the model is at it", || subject.runs() == 1);
    assert_eq!(small.ask("GET", "/v2/health/live", "", b"").status, 200);
    drop(closed);
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
    let subject = Subject::new();
    let server = subject.serve();
    // Of one row, or two, or three.
    let values =
        |n: usize| -> Vec<f32> { (0..2 * (1 + n % 3)).map(|i| (8 * n + i) as f32).collect() };
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(server.address()))
        .collect();
    let closed = subject.door.lock().unwrap();
    let mut rows = 0;
    for (n, client) in clients.iter_mut().enumerate() {
        client.begin("POST", INFER, "", &body(&values(n)));
        if n == 0 {
            until("the model is busy", || subject.runs() == 1);
        } else {
            rows += 1 + n % 3;
        }
    }
    until("the others wait", || subject.queued() == rows);
    drop(closed);
    for (n, client) in clients.iter_mut().enumerate() {
        let answer: Value = serde_json::from_slice(&client.read().unwrap().body).unwrap();
        let twice: Vec<f32> = values(n).iter().map(|value| value * 2.0).collect();
        assert_eq!(answer["outputs"][0]["data"], json!(twice));
    }
    assert_eq!(subject.runs(), 2);
    assert_eq!(subject.model.statistics().rows, 1 + rows as u64);
}

/// Handlers that an event loop wakes in one turn; how a socket's are woken in one is `turn.rs`'s.
#[test]
fn what_is_asked_in_one_turn_runs_together() {
    const REQUESTS: usize = 32;
    let subject = Subject::new();
    // From now on the model is known to be cheap: each flush would run it at once.
    let data = TensorData::Fp32(vec![0.0; 2]);
    let input = Input::Tensors(vec![Tensor::new("x", vec![1, 2], data).unwrap()]);
    let call = CallOptions::default();
    subject.model.predict(input, &call).unwrap();
    let shared = Arc::new(Shared::new(Arc::clone(&subject.runtime), local(), 1).unwrap());
    let counters = Arc::clone(&shared.counters[0]);
    let service = Service::new(shared, counters);
    let ask = |value: f32| {
        let service = service.clone();
        tokio::task::spawn_local(async move {
            let uri = Uri::from_static(INFER);
            let body = body(&[value, 0.5]).into();
            service
                .reply(&Method::POST, &uri, &HeaderMap::new(), body)
                .await
        })
    };
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let all = async {
        let turn = Rc::clone(&service.turn);
        tokio::task::spawn_local(async move { turn.run().await });
        let asked: Vec<_> = (0..REQUESTS).map(|n| ask(n as f32)).collect();
        for (n, asked) in asked.into_iter().enumerate() {
            let answer: Value = serde_json::from_slice(asked.await.unwrap().body()).unwrap();
            assert_eq!(answer["outputs"][0]["data"], json!([n as f32 * 2.0, 1.0]));
        }
    };
    event_loop
        .block_on(async { tokio::time::timeout(PATIENCE, all).await })
        .unwrap();
    assert_eq!(subject.runs(), 2);
}

#[test]
fn many_clients_at_once_get_their_own_answers() {
    const CLIENTS: usize = 32;
    const ROUNDS: usize = 20;
    let subject = Subject::new();
    let server = subject.serve();
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
    assert_eq!(subject.model.statistics().rows, (CLIENTS * ROUNDS) as u64);
}

#[test]
fn work_of_clients_that_have_gone_is_dropped() {
    let subject = Subject::new();
    let server = subject.serve();
    let closed = subject.door.lock().unwrap();
    let mut first = Client::new(server.address());
    first.begin("POST", INFER, "", &body(&[1.0, 2.0]));
    until("the model is busy", || subject.runs() == 1);
    let mut gone = Client::new(server.address());
    gone.begin("POST", INFER, "", &body(&[1.0, 2.0]));
    until("it waits", || subject.queued() == 1);
    drop(gone);
    until("it is gone", || server.connections() == 1);
    drop(closed);
    assert_eq!(first.read().unwrap().status, 200);
    until("its work leaves the queue", || subject.queued() == 0);
    until("nothing runs", || {
        subject
            .model
            .statistics()
            .batches
            .refused(Reason::Abandoned)
            == 1
    });
    assert_eq!(subject.runs(), 1);
}

#[test]
fn a_deadline_is_kept_while_the_model_hangs() {
    let subject = Subject::new();
    let server = subject.serve();
    let mut client = Client::new(server.address());
    // A model known to be quick would be run by the event loop.
    for _ in 0..20 {
        assert_eq!(
            client.ask("POST", INFER, "", &body(&[1.0, 2.0])).status,
            200
        );
    }
    let hurried = |micros: u64| {
        let inputs = json!([{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]);
        json!({"parameters": {"timeout": micros}, "inputs": inputs}).to_string()
    };
    let closed = subject.door.lock().unwrap();
    let before = subject.runs();
    let mut runs = Client::new(server.address());
    runs.begin("POST", INFER, "", hurried(1_000_000).as_bytes());
    until("the model is busy", || subject.runs() > before);
    let mut waits = Client::new(server.address());
    waits.begin("POST", INFER, "", hurried(50_000).as_bytes());
    // Both are answered, in the order of their deadlines, and the loop goes on.
    for late in [&mut waits, &mut runs] {
        let answer = late.read().unwrap();
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(answer.text().contains("deadline"), "{}", answer.text());
    }
    assert_eq!(client.ask("GET", "/v2/health/live", "", b"").status, 200);
    drop(closed);
    assert_eq!(
        client.ask("POST", INFER, "", &body(&[1.0, 2.0])).status,
        200
    );
    assert_eq!(subject.runs(), before + 2);
}

#[test]
fn the_door_refuses_bytes_before_they_are_read_and_while_they_come() {
    let mut options = LoadOptions::default();
    options.limits.max_queue_bytes = 1_000;
    let subject = Subject::with(&options);
    let server = subject.serve();
    let address = server.address();
    let refused = |status: u16, sent: &str| {
        let mut client = Client::new(address);
        client.send(sent);
        let answer = client.read().unwrap();
        assert_eq!(answer.status, status, "{sent}: {}", answer.text());
        answer
    };
    let head = |rest: &str| format!("POST {INFER} HTTP/1.1\r\nhost: x\r\n{rest}\r\n\r\n");
    // More than may ever be held; nobody is asked for it.
    refused(413, &head("content-length: 1001\r\nexpect: 100-continue"));
    refused(
        404,
        &head("content-length: 9\r\nexpect: 100-continue").replace("twice", "other"),
    );
    let closed = subject.door.lock().unwrap();
    let held = body(&[0.125; 40]);
    assert!((300..600).contains(&held.len()), "{}", held.len());
    let mut busy = Client::new(address);
    busy.begin("POST", INFER, "", &held);
    until("the model is busy", || subject.runs() == 1);
    let answer = refused(503, &head("content-length: 900\r\nexpect: 100-continue"));
    assert!(answer.header("retry-after").is_some());
    // What is not announced is counted as it comes.
    let piece = format!("384\r\n{}\r\n0\r\n\r\n", " ".repeat(0x384));
    refused(503, &(head("transfer-encoding: chunked") + &piece));
    drop(closed);
    assert_eq!(busy.read().unwrap().status, 200);
    let statistics = subject.model.statistics().batches;
    assert_eq!(statistics.refused(Reason::Bytes), 2);
    assert_eq!(statistics.refused(Reason::TooLarge), 1);
    // All that was held has been given back.
    let mut client = Client::new(address);
    for _ in 0..10 {
        assert_eq!(client.ask("POST", INFER, "", &held).status, 200);
    }
}

#[test]
fn a_drain_answers_what_the_model_is_at() {
    let subject = Subject::new();
    let server = subject.serve();
    let address = server.address();
    let mut idle = Client::new(address);
    assert_eq!(idle.ask("GET", "/v2/health/live", "", b"").status, 200);
    let closed = subject.door.lock().unwrap();
    let mut asking: Vec<_> = (0..4).map(|_| Client::new(address)).collect();
    for (n, client) in asking.iter_mut().enumerate() {
        client.begin("POST", INFER, "", &body(&[1.0, 2.0]));
        if n == 0 {
            until("the model is busy", || subject.runs() == 1);
        }
    }
    until("the others wait", || subject.queued() == 3);
    let draining = std::thread::spawn(move || server.drain(2 * PATIENCE));
    // The drain has begun.
    assert!(idle.ended());
    assert!(!draining.is_finished());
    drop(closed);
    for client in &mut asking {
        assert_eq!(client.read().unwrap().status, 200);
    }
    // True is said before the grace is over, or not at all.
    assert!(draining.join().unwrap());
}

#[test]
fn outputs_as_their_best_classes() {
    let server = Subject::new().serve();
    let mut client = Client::new(server.address());
    let wants = |parameters: Value| {
        json!({
            "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, 4, 3]}],
            "outputs": [{"name": "y", "parameters": parameters}],
        })
        .to_string()
    };
    let body = wants(json!({"classification": 1}));
    let answer = client.ask("POST", INFER, "", body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value: Value = serde_json::from_slice(&answer.body).unwrap();
    let output = &value["outputs"][0];
    assert_eq!(output["datatype"], "BYTES");
    assert_eq!(output["shape"], json!([2, 1]));
    assert_eq!(output["data"], json!(["5.000000:1", "8.000000:0"]));
    let body = wants(json!({"classification": 7, "binary_data": true}));
    let answer = client.ask("POST", INFER, "", body.as_bytes());
    let json: usize = answer
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    assert!(answer.body[json..].starts_with(b"\x0a\0\0\x005.000000:1"));
    let body = wants(json!({"classification": "two"}));
    assert_eq!(client.ask("POST", INFER, "", body.as_bytes()).status, 400);
}

#[test]
fn every_stage_of_a_request_is_measured() {
    let subject = Subject::new();
    let server = subject.serve();
    let mut client = Client::new(server.address());
    for _ in 0..3 {
        assert_eq!(
            client.ask("POST", INFER, "", &body(&[1.0, 2.0])).status,
            200
        );
    }
    let page = client.ask("GET", "/metrics", "", b"");
    for stage in ["admit", "decode", "queue", "backend", "encode", "total"] {
        let due = format!(
            "tidegate_stage_seconds_count{{model=\"twice\",version=\"1.0.0\",stage=\"{stage}\"}} 3"
        );
        let found = page.text().lines().any(|line| line == due);
        // A request that finds the model idle may not have to wait, or not be counted as waiting.
        assert!(found || stage == "queue", "{due}\n{}", page.text());
    }
    assert_eq!(subject.model.statistics().encode.count, 3);
}
