//! Request ids, the access log, and the settings of the server's log.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use wire::{Client, server};

fn log(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tidegate-{name}-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn every_answer_has_a_request_id() {
    let server = server(|_| {});
    let mut client = Client::new(server.address());
    let mut made = Vec::new();
    for (method, path) in [
        ("GET", "/v2"),
        ("GET", "/nowhere"),
        ("DELETE", "/metrics"),
        ("POST", "/v2/models/none/infer"),
    ] {
        let answer = client.ask(method, path, "x-request-id: r.1:a\r\n", b"");
        assert_eq!(answer.header("x-request-id"), Some("r.1:a"), "{path}");
        let answer = client.ask(method, path, "x-request-id: <script>\r\n", b"");
        made.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let count = made.len();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), count);
    assert!(
        made.iter()
            .all(|id| id.bytes().all(|b| b.is_ascii_hexdigit()))
    );
}

#[test]
fn the_access_log_has_a_line_for_each_request() {
    let path = log("access");
    let server = server(|options| options.access_log = Some(path.clone()));
    let mut client = Client::new(server.address());
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    client.ask("POST", "/v2/echo?key=secret", trace, b"{}");
    client.ask("GET", "/nowhere", "x-request-id: mine\r\n", b"");
    assert!(server.drain(Duration::from_secs(10)));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(!text.contains("secret"));
    let first = &lines[0];
    assert_eq!(first["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(first["path"], "/v2/echo");
    assert_eq!(first["route"], "echo");
    assert_eq!(first["protocol"], "HTTP/1.1");
    assert_eq!(
        (&first["status"], &first["request_bytes"]),
        (&json!(200), &json!(2))
    );
    assert!(first["response_bytes"].as_u64().unwrap() > 0);
    assert!(first["seconds"].as_f64().unwrap() > 0.0);
    assert!(first["remote"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&lines[1]["id"], &lines[1]["status"]),
        (&json!("mine"), &json!(404))
    );
    assert_eq!(lines[1].get("trace_id"), None);
}

#[test]
fn log_settings_are_told_changed_and_refused() {
    let server = server(|_| {});
    let mut client = Client::new(server.address());
    let told = |answer: wire::Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let before = told(client.ask("GET", "/v2/logging", "", b""));
    assert_eq!(before["log_info"], true);
    let wanted = br#"{"log_info": false, "log_verbose_level": 2}"#;
    let after = told(client.ask("POST", "/v2/logging", "", wanted));
    assert_eq!(after["log_info"], false);
    assert_eq!(after, told(client.ask("GET", "/v2/logging", "", b"")));
    assert_eq!(after, told(client.ask("POST", "/v2/logging", "", b"")));
    for (wanted, part) in [
        (r#"{"log_file": "/etc/passwd"}"#, "log_file"),
        (r#"{"log_info": "yes"}"#, "true or false"),
        (r#"{"log_colour": true}"#, "log_verbose_level"),
        ("[]", "JSON object"),
        ("{", "JSON object"),
    ] {
        let answer = client.ask("POST", "/v2/logging", "", wanted.as_bytes());
        assert_eq!(answer.status, 400, "{wanted}");
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    let answer = client.ask("DELETE", "/v2/logging", "", b"");
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, POST"))
    );
}
