//! Rows over HTTP with the golden bundle: JSON, and the same as Arrow.

// What is unexpected fails the test.
#![allow(clippy::panic, clippy::unwrap_used)]

mod wire;

use std::path::Path;
use std::sync::{Arc, Once};

use serde_json::{Value, json};
use tidegate_protocol::arrow;
use tidegate_runtime::{LoadOptions, Runtime, onnx};
use tidegate_schema::TableBuf;
use tidegate_server::{Options, Running, Server};
use wire::{Answer, Client};

const PREDICT: &str = "/v1/models/golden:predict";

fn serve() -> (Running, Arc<Runtime>) {
    static LOAD: Once = Once::new();
    LOAD.call_once(|| {
        let path = std::env::var("TIDEGATE_TEST_ORT").unwrap_or_else(|_| {
            panic!("TIDEGATE_TEST_ORT is not set: type `make test-rust`, or set it to the path of libonnxruntime.so of an installed onnxruntime")
        });
        // SAFETY: tests that read the environment meet this only through `Once`, before the
        // library, which reads it, is loaded.
        unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
        onnx::load_library(Path::new(&path)).unwrap();
    });
    let runtime = Runtime::new(&tidegate_runtime::Options::default()).unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bundle/v1");
    let model = runtime.load(&bundle, &LoadOptions::default()).unwrap();
    runtime.deploy("golden", model, 1).unwrap();
    let options = Options {
        address: "127.0.0.1:0".to_owned(),
        workers: 1,
        limits: wire::patient(),
        ..Options::default()
    };
    (
        Server::start(Arc::clone(&runtime), options).unwrap(),
        runtime,
    )
}

fn rows(count: usize) -> Vec<Value> {
    (0..count)
        .map(|i| {
            let wind = (i % 7 > 0).then_some(i as f64 % 10.0);
            let carrier = ["UA", "AA", "a \"{[]}\\ü"][i % 3];
            json!({"distance": 100.0 + (i * 37 % 1000) as f64 / 8.0, "wind": wind, "carrier": carrier})
        })
        .collect()
}

fn body(count: usize) -> Vec<u8> {
    json!({"instances": rows(count)}).to_string().into_bytes()
}

fn predictions(answer: &Answer) -> Vec<Value> {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["model_name"], "golden");
    serde_json::from_value(value["predictions"].take()).unwrap()
}

#[test]
fn arrow_in_and_out() {
    let (server, runtime) = serve();
    let mut client = Client::new(server.address());
    let model = runtime.model("golden", None).unwrap();
    let schema = model.schema().unwrap();
    let table: TableBuf = tidegate_protocol::rows::decode(
        &body(1_000),
        schema,
        tidegate_protocol::rows::Extra::Refuse,
        &tidegate_protocol::Limits::default(),
    )
    .unwrap();
    let sent = arrow::encode(&table, schema, &[]).unwrap();
    let due = predictions(&client.ask("POST", PREDICT, "", &body(1_000)));
    let kind = format!("content-type: {}\r\n", arrow::MEDIA_TYPE);
    let answer = client.ask("POST", PREDICT, &kind, &sent);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(predictions(&answer), due);
    let both = format!(
        "{kind}accept: application/json;q=0.5, {}\r\n",
        arrow::MEDIA_TYPE
    );
    let answer = client.ask("POST", PREDICT, &both, &sent);
    assert_eq!(answer.header("content-type"), Some(arrow::MEDIA_TYPE));
    let cut = client.ask("POST", PREDICT, &both, &sent[..sent.len() / 2]);
    assert_eq!(
        (cut.status, cut.header("content-type")),
        (400, Some("application/json"))
    );
}
