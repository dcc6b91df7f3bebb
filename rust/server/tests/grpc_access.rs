//! Who may do what over gRPC: the same as over HTTP, and nobody's messages are read.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tidegate_protocol::grpc::health::HealthCheckRequest;
use tidegate_protocol::grpc::messages::infer_parameter::ParameterChoice;
use tidegate_protocol::grpc::messages::model_infer_request::InferRequestedOutputTensor;
use tidegate_protocol::grpc::messages::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelReadyRequest,
    ModelStatisticsRequest, ModelStreamInferResponse, RepositoryIndexRequest,
    RepositoryModelLoadRequest, ServerReadyRequest,
};
use tidegate_server::access::{Access, Keys, Rate, Rates};
use tidegate_server::{Options, Running, Server};
use wire::grpc::{Channel, Ended, INFER, STREAM, framed, infer, run};
use wire::subject::{Subject, local};

/// The key of the golden file: it may predict with models `flight-*`.
const KEY: &str = "tg_00112233aabbccdd_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const FLIGHT: &str = "flight-twice";

fn keys() -> Keys {
    Keys::parse(include_str!("../../../tests/golden/access/keys.json")).unwrap()
}

fn guarded(subject: &Subject) -> (Running, Arc<Access>) {
    let model = Arc::clone(&subject.model);
    subject.runtime.deploy(FLIGHT, model, 1).unwrap();
    let access = Arc::new(Access::default());
    access.set_keys(Some(keys()));
    let server = subject.serve_with(Options {
        access: Arc::clone(&access),
        ..local()
    });
    (server, access)
}

fn method(name: &str) -> String {
    format!("/inference.GRPCInferenceService/{name}")
}

fn flight(values: &[f32]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: FLIGHT.to_owned(),
        ..infer(values)
    }
}

fn bearer() -> String {
    format!("Bearer {KEY}")
}

async fn connect(server: &Running) -> Channel {
    Channel::new(server.grpc_address().unwrap()).await.0
}

async fn ask(channel: &Channel, path: &str, key: Option<&str>, message: &[u8]) -> Ended {
    let metadata: Vec<(&str, &str)> = key.map(|key| ("authorization", key)).into_iter().collect();
    channel.call(path, &metadata, message).await.end().await
}

#[test]
fn every_method_is_for_whom_its_route_is_for() {
    let subject = Subject::new();
    let (server, _) = guarded(&subject);
    let named = |name: &str| {
        ModelReadyRequest {
            name: name.to_owned(),
            ..ModelReadyRequest::default()
        }
        .encode_to_vec()
    };
    let load = RepositoryModelLoadRequest {
        model_name: FLIGHT.to_owned(),
        ..RepositoryModelLoadRequest::default()
    };
    let empty = RepositoryIndexRequest::default().encode_to_vec();
    let health = HealthCheckRequest::default().encode_to_vec();
    let all = ModelStatisticsRequest::default().encode_to_vec();
    // (method, message, code for nobody, code for the key)
    let cases = [
        (method("ServerLive"), empty.clone(), "0", "0"),
        (method("ServerReady"), empty.clone(), "0", "0"),
        ("/grpc.health.v1.Health/Check".to_owned(), health, "0", "0"),
        (method("ServerMetadata"), empty.clone(), "16", "0"),
        (method("ModelReady"), named(FLIGHT), "16", "0"),
        (method("ModelReady"), named("twice"), "16", "7"),
        (method("ModelMetadata"), named(FLIGHT), "16", "0"),
        (method("ModelMetadata"), named("nobody"), "16", "7"),
        (method("ModelConfig"), named(FLIGHT), "16", "0"),
        (method("ModelConfig"), named("twice"), "16", "7"),
        (method("ModelStatistics"), named(FLIGHT), "16", "0"),
        (method("ModelStatistics"), all, "16", "7"),
        (method("RepositoryIndex"), empty.clone(), "16", "7"),
        (
            method("RepositoryModelLoad"),
            load.encode_to_vec(),
            "16",
            "7",
        ),
        (
            method("RepositoryModelUnload"),
            load.encode_to_vec(),
            "16",
            "7",
        ),
        (method("RepositoryModelLoad"), vec![], "16", "7"),
        (
            INFER.to_owned(),
            flight(&[1.0, 2.0]).encode_to_vec(),
            "16",
            "0",
        ),
        (
            INFER.to_owned(),
            infer(&[1.0, 2.0]).encode_to_vec(),
            "16",
            "7",
        ),
        (INFER.to_owned(), vec![0xff], "16", "3"),
        (method("LogSettings"), empty.clone(), "16", "7"),
        (method("TraceSetting"), empty.clone(), "16", "12"),
        ("/nothing".to_owned(), empty, "16", "12"),
    ];
    run(async {
        let channel = connect(&server).await;
        for (path, message, nobody, known) in cases {
            let ended = ask(&channel, &path, None, &message).await;
            assert_eq!(ended.code, nobody, "{path}: {ended:?}");
            let ended = ask(&channel, &path, Some(&bearer()), &message).await;
            assert_eq!(ended.code, known, "{path}: {ended:?}");
        }
        let message = flight(&[1.0, 2.0]).encode_to_vec();
        for wrong in [
            "Basic eDp5",
            "Bearer tg_00112233aabbccdd_x",
            "Bearer a.b.c",
            KEY,
        ] {
            let ended = ask(&channel, INFER, Some(wrong), &message).await;
            assert_eq!(ended.code, "16", "{wrong}: {ended:?}");
        }
        let call = channel.call(INFER, &[("x-api-key", KEY)], &message).await;
        assert_eq!(call.end().await.code, "0");
    });
    assert_eq!(subject.runs(), 2, "nothing ran that was refused");
}

#[test]
fn what_nobody_sends_is_not_waited_for() {
    let subject = Subject::new();
    let (server, _) = guarded(&subject);
    run(async {
        let channel = connect(&server).await;
        for path in [INFER.to_owned(), STREAM.to_owned(), method("ModelReady")] {
            let (pipe, call) = channel.start(&path, &[]);
            pipe.send(Bytes::from_static(&[0, 0, 0, 1, 0, 1])).unwrap();
            // The message has not come, and the request is not at its end.
            let ended = call.await.unwrap().end().await;
            assert_eq!(ended.code, "16", "{path}: {ended:?}");
            assert!(ended.message.contains("Authorization: Bearer"));
            drop(pipe);
        }
    });
}

#[test]
fn rates_are_those_of_http_and_nonsense_counts() {
    let subject = Subject::new();
    let (server, access) = guarded(&subject);
    let rate = |text| Some(Rate::parse(text).unwrap());
    access.set_rates(Rates {
        caller: rate("3/h"),
        ..Rates::default()
    });
    run(async {
        let channel = connect(&server).await;
        let fine = flight(&[1.0, 2.0]).encode_to_vec();
        let ended = ask(&channel, INFER, Some(&bearer()), &[0xff]).await;
        assert_eq!(ended.code, "3");
        assert_eq!(ended.metadata["ratelimit-remaining"], "2");
        for _ in 0..2 {
            assert_eq!(ask(&channel, INFER, Some(&bearer()), &fine).await.code, "0");
        }
        let mut http = wire::Client::new(server.address());
        let header = format!("authorization: {}\r\n", bearer());
        let refused = http.ask("GET", "/v2", &header, b"");
        assert_eq!(refused.status, 429, "{}", refused.text());
        for message in [fine, vec![0xff]] {
            let ended = ask(&channel, INFER, Some(&bearer()), &message).await;
            assert_eq!(ended.code, "8", "{ended:?}");
            assert_eq!(ended.metadata["ratelimit-limit"], "3");
            assert_eq!(ended.metadata["ratelimit-remaining"], "0");
            let pushback = ended.metadata["grpc-retry-pushback-ms"].to_str().unwrap();
            assert!(pushback.parse::<u64>().unwrap() > 0);
        }
        let live = method("ServerLive");
        let probe = ServerReadyRequest {}.encode_to_vec();
        assert_eq!(ask(&channel, &live, None, &probe).await.code, "0");
    });
    assert_eq!(subject.runs(), 2);
}

#[test]
fn each_message_of_a_stream_is_admitted() {
    let subject = Subject::new();
    let (server, access) = guarded(&subject);
    run(async {
        let channel = connect(&server).await;
        let key = bearer();
        let (pipe, call) = channel.start(STREAM, &[("authorization", &key)]);
        let send = |message: ModelInferRequest| {
            pipe.send(framed(&message.encode_to_vec())).unwrap();
        };
        send(flight(&[1.0, 2.0]));
        send(infer(&[1.0, 2.0]));
        let mut call = call.await.unwrap();
        let error = |bytes: Bytes| {
            ModelStreamInferResponse::decode(bytes)
                .unwrap()
                .error_message
        };
        assert_eq!(error(call.next().await.unwrap()), "");
        let refused = error(call.next().await.unwrap());
        assert!(refused.contains("key:ci may not predict"), "{refused}");
        // The stream goes on, until its key counts no longer.
        send(flight(&[1.0, 2.0]));
        assert_eq!(error(call.next().await.unwrap()), "");
        access.set_keys(Some(Keys::default()));
        send(flight(&[1.0, 2.0]));
        let ended = call.end().await;
        assert_eq!(ended.code, "16", "{ended:?}");
    });
    assert_eq!(subject.runs(), 2);
}

#[test]
fn other_machines_are_not_listened_to_where_everybody_is_let_in() {
    let subject = Subject::new();
    let start = |options| Server::start(Arc::clone(&subject.runtime), options);
    let outside = || Options {
        grpc_address: Some("0.0.0.0:0".to_owned()),
        ..local()
    };
    let error = start(outside()).unwrap_err();
    assert!(error.message.contains("access.keys"), "{error}");
    let access = Arc::new(Access::default());
    access.set_keys(Some(keys()));
    for options in [
        Options {
            access,
            ..outside()
        },
        Options {
            allow_anonymous: true,
            ..outside()
        },
    ] {
        start(options).unwrap().stop();
    }
}

#[test]
fn outputs_as_their_best_classes() {
    let subject = Subject::new();
    let server = subject.serve();
    let wants = |choice| {
        let parameter = InferParameter {
            parameter_choice: Some(choice),
        };
        ModelInferRequest {
            outputs: vec![InferRequestedOutputTensor {
                name: "y".to_owned(),
                parameters: [("classification".to_owned(), parameter)].into(),
            }],
            ..infer(&[1.0, 2.5, 4.0, 3.0])
        }
    };
    run(async {
        let channel = connect(&server).await;
        let (answer, ended) = channel
            .ask(INFER, &wants(ParameterChoice::Int64Param(1)))
            .await;
        assert_eq!(ended.code, "0", "{ended:?}");
        let answer = ModelInferResponse::decode(answer.as_slice()).unwrap();
        assert_eq!(answer.outputs[0].datatype, "BYTES");
        assert_eq!(answer.outputs[0].shape, [2, 1]);
        assert_eq!(
            answer.raw_output_contents[0],
            &b"\x0a\0\0\x005.000000:1\x0a\0\0\x008.000000:0"[..]
        );
        let text = ParameterChoice::StringParam("two".to_owned());
        let (_, ended) = channel.ask(INFER, &wants(text)).await;
        assert_eq!(ended.code, "3", "{ended:?}");
    });
}

#[test]
fn every_stage_of_a_request_is_measured() {
    let subject = Subject::new();
    let server = subject.serve();
    run(async {
        let channel = connect(&server).await;
        for _ in 0..3 {
            let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
            assert_eq!(ended.code, "0");
        }
    });
    let page = wire::Client::new(server.address()).ask("GET", "/metrics", "", b"");
    for stage in ["admit", "decode", "encode", "total"] {
        let due = format!(
            "tidegate_stage_seconds_count{{model=\"twice\",version=\"1.0.0\",stage=\"{stage}\"}} 3"
        );
        let found = page.text().lines().any(|line| line == due);
        assert!(found, "{due}\n{}", page.text());
    }
}
