//! Spans of requests: whose they are, what they say, and what goes to the control plane.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::io::Write as _;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidegate_server::Tracer;
use wire::{Client, blocked, control, received, server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn called(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\n")
}

/// The next spans that finish, which is after their answers were sent.
fn spans(tracer: &Tracer, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    while found.len() < count {
        assert!(Instant::now() < end, "{found:?}");
        let taken = tracer.take(usize::MAX);
        found.extend(
            taken
                .iter()
                .map(|span| serde_json::from_str::<Value>(span).unwrap()),
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |attribute| {
        attribute["value"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
    })
}

fn nanos(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_span_continues_the_callers_trace() {
    let tracer = Arc::new(Tracer::new(0.0).unwrap());
    let server = server(|options| options.tracer = Some(Arc::clone(&tracer)));
    let mut client = Client::new(server.address());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos()
    };
    let before = now();
    // Nobody asks for spans of the first two.
    client.ask("POST", "/v2/echo", "", b"{}");
    client.ask("POST", "/v2/echo", &called("00"), b"{}");
    let headers = format!("{}x-request-id: mine\r\n", called("01"));
    client.ask("POST", "/v2/echo?key=secret", &headers, b"{}");
    client.ask("DELETE", "/v2/echo", &called("01"), b"");
    let found = spans(&tracer, 2);
    let after = now();
    assert_eq!(found.len(), 2);
    assert_ne!(found[0]["spanId"], found[1]["spanId"]);
    for span in &found {
        assert_eq!(
            (&span["traceId"], &span["parentSpanId"]),
            (&json!(TRACE), &json!(SPAN))
        );
        assert_eq!(span["flags"], 0x301);
        let (start, end) = (
            nanos(&span["startTimeUnixNano"]),
            nanos(&span["endTimeUnixNano"]),
        );
        assert!(
            before <= start && start < end && end <= after + 1_000_000_000,
            "{span}"
        );
        assert!(!span.to_string().contains("secret"));
    }
    assert_eq!(found[0]["name"], "POST /v2/echo");
    for (key, value) in [
        ("tidegate.request.id", "mine"),
        ("http.request.method", "POST"),
        ("http.route", "/v2/echo"),
        ("http.response.status_code", "200"),
        ("url.path", "/v2/echo"),
        ("url.scheme", "http"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(attribute(&found[0], key), value, "{key}");
    }
    assert_eq!(found[1]["name"], "DELETE");
    assert_eq!(attribute(&found[1], "http.response.status_code"), "405");
}

#[test]
fn a_trace_begins_here_where_nobody_calls_from_one() {
    let tracer = Arc::new(Tracer::new(1.0).unwrap());
    let log = std::env::temp_dir().join(format!("tidegate-traced-{}.log", std::process::id()));
    let server = server(|options| {
        options.tracer = Some(Arc::clone(&tracer));
        options.access_log = Some(log.clone());
    });
    Client::new(server.address()).ask("GET", "/v2/health/live", "", b"");
    let found = spans(&tracer, 1);
    assert_eq!(found[0]["name"], "GET /v2/health/live");
    assert_eq!(found[0].get("parentSpanId"), None);
    assert_eq!(found[0]["flags"], 0x101);
    assert!(server.drain(Duration::from_secs(60)));
    // The log names the same trace.
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["trace_id"], found[0]["traceId"]);
}

#[test]
fn the_control_plane_is_called_from_our_span() {
    let (sender, heads) = mpsc::channel();
    let socket = control("traced", move |mut stream| {
        let (head, _) = received(&mut stream);
        let _ = sender.send(head.to_lowercase());
        let _ = stream.write_all(b"HTTP/1.1 503 Oh\r\ncontent-length: 0\r\n\r\n");
    });
    let tracer = Arc::new(Tracer::new(0.0).unwrap());
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.tracer = Some(Arc::clone(&tracer));
    });
    let mut client = Client::new(server.address());
    client.ask("GET", "/docs", &called("01"), b"");
    let span = spans(&tracer, 1).remove(0);
    let ours = span["spanId"].as_str().unwrap();
    let head = heads.recv().unwrap();
    assert!(
        head.contains(&format!("traceparent: 00-{TRACE}-{ours}-01\r\n")),
        "{head}"
    );
    assert!(!head.contains(SPAN), "{head}");
    // Our failure is marked.
    assert_eq!(span["status"], json!({"code": 2}));
    assert_eq!(attribute(&span, "error.type"), "503");
    assert_eq!(
        (&span["name"], attribute(&span, "http.route")),
        (&json!("GET"), &Value::Null)
    );
    // What is not traced is passed on as it came.
    client.ask("GET", "/docs", &called("00"), b"");
    let head = heads.recv().unwrap();
    assert!(head.contains(&called("00")), "{head}");
}

#[test]
fn a_client_that_goes_leaves_its_span() {
    let (socket, taken) = blocked("traced-gone");
    let tracer = Arc::new(Tracer::new(1.0).unwrap());
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.tracer = Some(Arc::clone(&tracer));
    });
    let mut client = Client::new(server.address());
    client.send("GET /docs HTTP/1.1\r\nhost: t\r\n\r\n");
    while taken.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    client.0.shutdown(Shutdown::Both).unwrap();
    let span = spans(&tracer, 1).remove(0);
    assert_eq!(attribute(&span, "http.response.status_code"), "499");
    assert_eq!(span.get("status"), None);
}

#[test]
fn without_a_tracer_nothing_is_counted() {
    let metrics = |tracer: Option<Arc<Tracer>>| {
        let server = server(|options| options.tracer = tracer);
        let mut client = Client::new(server.address());
        client.ask("POST", "/v2/echo", &called("01"), b"{}");
        client.ask("GET", "/metrics", "", b"").text().to_owned()
    };
    assert!(!metrics(None).contains("tidegate_trace"));
    let tracer = Tracer::new(1.0).unwrap();
    let counted = metrics(Some(Arc::new(tracer)));
    for line in [
        "tidegate_trace_spans_exported_total 0\n",
        "tidegate_trace_spans_dropped_total{reason=\"queue\"} 0\n",
        "tidegate_trace_spans_dropped_total{reason=\"export\"} 0\n",
    ] {
        assert!(counted.contains(line), "{counted}");
    }
}
