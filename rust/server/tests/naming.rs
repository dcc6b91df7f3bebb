//! Whatever comes of a request once its version is chosen, the answer names version and revision.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use http::HeaderMap;
use prost::Message;
use serde_json::json;
use tidegate_protocol::grpc::messages::{ModelStreamInferResponse, infer_parameter};
use tidegate_runtime::LoadOptions;
use tidegate_server::{Options, Running};
use wire::grpc::{Channel, framed, infer, run};
use wire::subject::{Subject, local};
use wire::{Answer, Client, until};

const INFER: &str = "/v2/models/twice/infer";
const UNARY: &str = "/inference.GRPCInferenceService/ModelInfer";
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const REVISION: u64 = 7;

fn body(values: &[f32], micros: u64) -> Vec<u8> {
    let shape = [values.len() / 2, 2];
    let input = json!({"name": "x", "shape": shape, "datatype": "FP32", "data": values});
    json!({"parameters": {"timeout": micros}, "inputs": [input]})
        .to_string()
        .into_bytes()
}

/// What an answer names.
fn named(answer: &Answer) -> (Option<&str>, Option<&str>) {
    let revision = answer.header("x-tidegate-revision");
    (answer.header("x-tidegate-version"), revision)
}

fn told(metadata: &HeaderMap) -> (Option<&str>, Option<&str>) {
    let text = |name| metadata.get(name).map(|value| value.to_str().unwrap());
    (text("x-tidegate-version"), text("x-tidegate-revision"))
}

/// Half of the users get each version; gives one of each, by the answers.
fn users(server: &Running) -> [(String, &'static str); 2] {
    let mut client = Client::new(server.address());
    ["1.0.0", "2.0.0"].map(|version| {
        let mut users = (0..100).map(|user| format!("user-{user}"));
        let user = users.find(|user| {
            let headers = format!("x-user: {user}\r\n");
            let answer = client.ask("POST", INFER, &headers, &body(&[1.0, 2.0], 0));
            assert_eq!(answer.status, 200, "{}", answer.text());
            named(&answer) == (Some(version), Some("7"))
        });
        (user.unwrap(), version)
    })
}

#[test]
fn every_http_answer_of_a_version_names_it() {
    let subject = Subject::new();
    subject.share(REVISION);
    let server = subject.serve_with(Options {
        limits: tidegate_server::Limits {
            body_bytes: 4_000_000,
            ..wire::patient()
        },
        ..local()
    });
    let large = vec![0.5; 200_000];
    let mut wrong = large.clone();
    wrong[7] = -1.0;
    for (user, version) in users(&server) {
        let headers = format!("x-user: {user}\r\n");
        let mut client = Client::new(server.address());
        let mut ask = |path: &str, more: &str, body: &[u8]| {
            client.ask("POST", path, &format!("{headers}{more}"), body)
        };
        for (status, answer) in [
            (200, ask(INFER, "", &body(&[1.0, 2.0], 0))),
            // On a thread of their own.
            (200, ask(INFER, "", &body(&large, 0))),
            (500, ask(INFER, "", &body(&wrong, 0))),
            // The model fails, or the request is refused: by the protocol, by its head, before its body.
            (500, ask(INFER, "", &body(&[-1.0, 2.0], 0))),
            (400, ask(INFER, "", &body(&[1.0], 0))),
            (400, ask(INFER, "", b"{")),
            (
                400,
                ask(INFER, "inference-header-content-length: x\r\n", b"{}"),
            ),
            (400, ask(INFER, "content-encoding: gzip\r\n", b"no gzip")),
            (400, ask("/v1/models/twice:predict", "", b"{}")),
        ] {
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!(named(&answer), (Some(version), Some("7")));
        }
        let mut client = Client::new(server.address());
        client.send(format!(
            "POST {INFER} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 4000001\r\nexpect: 100-continue\r\n\r\n"
        ));
        let answer = client.read().unwrap();
        assert_eq!((answer.status, named(&answer).0), (413, Some(version)));
        // Nobody was to answer these.
        let mut client = Client::new(server.address());
        for (path, status) in [
            ("/v2/models/twice/versions/3/infer", 404),
            ("/v2/models/other/infer", 404),
            ("/v2/nothing", 404),
        ] {
            let answer = client.ask("POST", path, &headers, b"{}");
            assert_eq!((answer.status, named(&answer)), (status, (None, None)));
        }
    }
}

#[test]
fn a_deadline_and_a_full_queue_are_named_too() {
    let mut options = LoadOptions::default();
    options.limits.max_queue_rows = 2;
    let subject = Subject::with(&options);
    // A deployment of one version: its good answers say so in their bodies.
    let server = subject.serve();
    let address = server.address();
    let mut client = Client::new(address);
    // A model known to be quick would be run by the event loop.
    for _ in 0..20 {
        let answer = client.ask("POST", INFER, "", &body(&[1.0, 2.0], 0));
        assert_eq!((answer.status, named(&answer)), (200, (None, None)));
    }
    let closed = subject.door.lock().unwrap();
    let before = subject.runs();
    let mut runs = Client::new(address);
    // One with a deadline is never run by the event loop, which has to answer the others.
    runs.begin("POST", INFER, "", &body(&[1.0, 2.0], 600_000_000));
    until("the model is busy", || subject.runs() > before);
    let late = client.ask("POST", INFER, "", &body(&[1.0, 2.0], 50_000));
    assert_eq!(late.status, 504, "{}", late.text());
    let full = client.ask("POST", INFER, "", &body(&[0.5; 8], 0));
    assert!([413, 503].contains(&full.status), "{}", full.text());
    for answer in [late, full] {
        assert_eq!(named(&answer), (Some("1.0.0"), Some("3")));
    }
    drop(closed);
    assert_eq!(runs.read().unwrap().status, 200);
}

#[test]
fn metadata_of_a_call_names_them() {
    let subject = Subject::new();
    subject.share(REVISION);
    let server = subject.serve();
    let users = users(&server);
    run(async {
        let address = server.grpc_address().unwrap();
        let (channel, _) = Channel::new(address).await;
        let large = vec![-1.0; 200_000];
        for (user, version) in &users {
            let metadata = [("x-user", user.as_str())];
            for (code, message) in [
                ("0", infer(&[1.0, 2.0]).encode_to_vec()),
                ("13", infer(&[-1.0, 0.0]).encode_to_vec()),
                ("13", infer(&large).encode_to_vec()),
                ("3", infer(&[1.0]).encode_to_vec()),
            ] {
                let call = channel.call(UNARY, &metadata, &message).await;
                let head = call.head.clone();
                let ended = call.end().await;
                assert_eq!(ended.code, code, "{ended:?}");
                assert_eq!(told(&head), (Some(*version), Some("7")));
            }
        }
        let mut unknown = infer(&[1.0, 2.0]);
        unknown.model_version = "3".to_owned();
        let call = channel.call(UNARY, &[], &unknown.encode_to_vec()).await;
        assert_eq!(told(&call.head), (None, None));
        assert_eq!(call.end().await.code, "5");
    });
}

#[test]
fn each_reply_of_a_stream_names_them_itself() {
    let subject = Subject::new();
    subject.share(REVISION);
    let server = subject.serve();
    run(async {
        let address = server.grpc_address().unwrap();
        let (channel, _) = Channel::new(address).await;
        let (pipe, call) = channel.start(STREAM, &[]);
        let large = vec![-1.0; 200_000];
        let asked = [
            infer(&[1.0, 2.0]),
            infer(&[-1.0, 0.0]),
            infer(&[1.0]),
            infer(&large),
        ];
        for message in asked.iter().cycle().take(40) {
            pipe.send(framed(&message.encode_to_vec())).unwrap();
        }
        let mut unknown = infer(&[1.0, 2.0]);
        unknown.model_name = "other".to_owned();
        pipe.send(framed(&unknown.encode_to_vec())).unwrap();
        drop(pipe);
        let mut call = call.await.unwrap();
        let mut versions = Vec::new();
        for number in 0..41 {
            let reply = call.next().await.unwrap();
            let reply = ModelStreamInferResponse::decode(&*reply).unwrap();
            let inner = reply.infer_response.unwrap();
            assert_eq!(
                reply.error_message.is_empty(),
                number < 40 && number % 4 == 0
            );
            let revision = inner.parameters.get("revision");
            let revision = revision.and_then(|found| found.parameter_choice.clone());
            if number == 40 {
                assert_eq!((&*inner.model_version, revision), ("", None));
                continue;
            }
            let due = infer_parameter::ParameterChoice::Int64Param(7);
            assert_eq!(revision, Some(due), "{number}");
            versions.push(inner.model_version);
        }
        // Each message is routed by itself.
        for version in ["1.0.0", "2.0.0"] {
            assert!(
                versions.iter().any(|found| found == version),
                "{versions:?}"
            );
        }
        assert!(versions.iter().all(|found| found.ends_with(".0.0")));
        assert_eq!(call.end().await.code, "0");
    });
}
