//! Rows over HTTP with the golden bundle: JSON held whole, JSON in pieces, Arrow.

// What is unexpected fails the test.
#![allow(clippy::panic, clippy::unwrap_used)]

mod wire;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Once};

use serde_json::{Value, json};
use tidegate_protocol::arrow;
use tidegate_runtime::{LoadOptions, Runtime, onnx};
use tidegate_schema::TableBuf;
use tidegate_server::{Limits, Options, Running, Server};
use wire::{Answer, Client};

/// Rows of a body of about two megabytes, twice what is read in pieces.
const ROWS: usize = 40_000;
const PREDICT: &str = "/v1/models/golden:predict";

fn serve(change: impl FnOnce(&mut Limits)) -> (Running, Arc<Runtime>) {
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
    let mut options = Options {
        address: "127.0.0.1:0".to_owned(),
        workers: 1,
        limits: wire::patient(),
        ..Options::default()
    };
    change(&mut options.limits);
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

/// What the same rows give in bodies that are held whole.
fn expected(client: &mut Client) -> Vec<Value> {
    let all = rows(ROWS);
    let parts = all.chunks(5_000).flat_map(|part| {
        let body = json!({"instances": part}).to_string();
        let answer = client.ask("POST", PREDICT, "", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("transfer-encoding"), None);
        predictions(&answer)
    });
    parts.collect()
}

fn predictions(answer: &Answer) -> Vec<Value> {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["model_name"], "golden");
    serde_json::from_value(value["predictions"].take()).unwrap()
}

#[test]
fn a_large_body_is_answered_as_small_ones() {
    let (server, _runtime) = serve(|limits| limits.body_bytes = 1_500_000);
    let mut client = Client::new(server.address());
    let (body, due) = (body(ROWS), expected(&mut client));
    assert!(body.len() > 1_500_000, "{}", body.len());
    let answer = client.ask("POST", PREDICT, "", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(predictions(&answer), due);
    // The connection is kept, and a body of unknown length is the same.
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    for chunk in body.chunks(9_973) {
        client.send(format!("{:x}\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(predictions(&client.read().unwrap()), due);
    // Tensors are held whole, so their announced length is refused before they come.
    client.send(format!(
        "POST /v2/models/golden/infer HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.read().unwrap().status, 413);
}

#[test]
fn compressed_bodies_are_unpacked_piece_by_piece() {
    let (server, _runtime) = serve(|_| {});
    let mut client = Client::new(server.address());
    // Texts that do not compress, so that the packed body is large too.
    let mut state = 1u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{state:016x}")
    };
    let instances: Vec<Value> = (0..20_000)
        .map(|_| {
            let carrier: String = (0..8).map(|_| noise()).collect();
            json!({"distance": 1.5, "carrier": carrier})
        })
        .collect();
    let plain = json!({"instances": instances}).to_string();
    for coding in ["gzip", "deflate"] {
        let level = flate2::Compression::fast();
        let mut packed = Vec::new();
        match coding {
            "gzip" => {
                flate2::read::GzEncoder::new(plain.as_bytes(), level).read_to_end(&mut packed)
            }
            _ => flate2::read::ZlibEncoder::new(plain.as_bytes(), level).read_to_end(&mut packed),
        }
        .unwrap();
        assert!(packed.len() > 1 << 20);
        let header = format!("content-encoding: {coding}\r\n");
        let answer = client.ask("POST", PREDICT, &header, &packed);
        assert_eq!(answer.status, 200);
        assert_eq!(predictions(&answer).len(), 20_000);
        let answer = client.ask("POST", PREDICT, &header, plain.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}

#[test]
fn an_early_mistake_has_its_status() {
    let (server, _runtime) = serve(|_| {});
    let mut client = Client::new(server.address());
    let good = String::from_utf8(body(ROWS)).unwrap();
    for (body, status, part) in [
        (
            good.replacen("\"carrier\"", "\"carrierr\"", 1),
            400,
            "carrier",
        ),
        (good.replacen("instances", "rows", 1), 400, "instances"),
        (format!("[{good}"), 400, "JSON"),
        (
            format!(
                "{{\"instances\":[{{\"carrier\":\"{}\"}}]}}",
                "x".repeat(1 << 21)
            ),
            413,
            "row",
        ),
    ] {
        let answer = client.ask("POST", PREDICT, "", body.as_bytes());
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    let unknown = client.ask("POST", "/v1/models/none:predict", "", good.as_bytes());
    assert_eq!(unknown.status, 404);
    let extra = good.replacen("{\"instances\"", "{\"more\":[{}],\"instances\"", 1);
    let path = format!("{PREDICT}?extra=ignore");
    let answer = client.ask("POST", &path, "", extra.as_bytes());
    assert_eq!(predictions(&answer).len(), ROWS);
}

#[test]
fn a_late_mistake_breaks_the_answer_off() {
    let (server, _runtime) = serve(|_| {});
    let mut client = Client::new(server.address());
    let good = String::from_utf8(body(ROWS)).unwrap();
    let wrong = format!(
        "{},{{\"distance\":\"far\"}}]}}",
        good.strip_suffix("]}").unwrap()
    );
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        wrong.len()
    ));
    client.send(&wrong);
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer);
    let text = String::from_utf8(answer).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"));
    // The text says why, and the last chunk never comes.
    let end = &text[text.len() - 400..];
    assert!(
        end.contains("],\"error\":\"") && end.contains("far"),
        "{end}"
    );
    assert!(!end.ends_with("0\r\n\r\n"));
    assert_eq!(
        Client::new(server.address())
            .ask("GET", "/v2", "", b"")
            .status,
        200
    );
}

#[test]
fn rows_that_stop_coming_end_their_answer() {
    let (server, _runtime) =
        serve(|limits| limits.body_timeout = std::time::Duration::from_secs(1));
    let body = body(ROWS);
    let mut client = Client::new(server.address());
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    client.0.write_all(&body[..1_500_000]).unwrap();
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer);
    let text = String::from_utf8(answer).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"));
    assert!(text[text.len() - 400..].contains("body_timeout"));
}

#[test]
fn a_client_that_goes_ends_its_stream() {
    let (server, _runtime) = serve(|_| {});
    let body = body(ROWS);
    let mut client = Client::new(server.address());
    client.send(format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    client.0.write_all(&body[..1_500_000]).unwrap();
    let mut begun = [0; 15];
    client.0.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    drop(client);
    // A drain waits for connections; this one is over.
    assert!(server.drain(std::time::Duration::from_secs(60)));
}

#[test]
fn arrow_in_and_out() {
    let (server, runtime) = serve(|_| {});
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
