//! gRPC on the same event loops: framing, limits, deadlines, cancellation, streams and the drain.

// What is unexpected fails the test. The model's door stays locked while a test waits.
#![allow(clippy::unwrap_used, clippy::await_holding_lock)]

mod wire;

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tidegate_protocol::grpc::health::{HealthCheckRequest, HealthCheckResponse};
use tidegate_protocol::grpc::messages::{
    ModelInferResponse, ModelReadyRequest, ModelStreamInferResponse, ServerReadyRequest,
    ServerReadyResponse,
};
use tidegate_server::{Limits, Options, Running};
use tokio::task::spawn_local;
use wire::grpc::{Channel, INFER, STREAM, framed, infer, run, values};
use wire::subject::{Subject, local};
use wire::{Client, until};

fn with(change: impl FnOnce(&mut Limits)) -> Options {
    let mut options = local();
    change(&mut options.limits);
    options
}

async fn connect(server: &Running) -> Channel {
    Channel::new(server.grpc_address().unwrap()).await.0
}

/// As [`until`], while this thread's event loop goes on.
async fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + wire::PATIENCE;
    while !so() {
        assert!(std::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn tensors_in_tensors_out() {
    let server = Subject::new().serve();
    run(async {
        let channel = connect(&server).await;
        let (answer, ended) = channel.ask(INFER, &infer(&[1.0, 2.5])).await;
        assert_eq!((ended.http, ended.code.as_str()), (200, "0"));
        assert_eq!(values(&answer), [2.0, 5.0]);
        let answer = ModelInferResponse::decode(answer.as_slice()).unwrap();
        assert_eq!(answer.model_name, "twice");
        assert_eq!(answer.model_version, "1.0.0");
        assert_eq!(answer.id, "mine");
        assert_eq!(answer.outputs[0].shape, [1, 2]);
        assert!(answer.parameters.contains_key("prediction_id"));
        // Above what the event loop works on itself, and above what the client may send unread.
        let large: Vec<f32> = (0..1_000_000).map(|i| i as f32).collect();
        let (answer, ended) = channel.ask(INFER, &infer(&large)).await;
        assert_eq!(ended.code, "0", "{ended:?}");
        let doubled: Vec<f32> = large.iter().map(|value| value * 2.0).collect();
        assert_eq!(values(&answer), doubled);
    });
}

#[test]
fn requests_of_both_protocols_share_a_batch() {
    let subject = Subject::new();
    let server = subject.serve();
    let json = br#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[3,4]}]}"#;
    let closed = subject.door.lock().unwrap();
    let mut busy = Client::new(server.address());
    busy.begin("POST", "/v2/models/twice/infer", "", json);
    until("the model is busy", || subject.runs() == 1);
    let mut other = Client::new(server.address());
    other.begin("POST", "/v2/models/twice/infer", "", json);
    run(async {
        let channel = connect(&server).await;
        let asked = spawn_local(async move { channel.ask(INFER, &infer(&[1.0, 2.0])).await });
        soon("both wait", || subject.queued() == 2).await;
        drop(closed);
        assert_eq!(values(&asked.await.unwrap().0), [2.0, 4.0]);
    });
    assert_eq!(busy.read().unwrap().status, 200);
    assert_eq!(other.read().unwrap().status, 200);
    assert_eq!(subject.runs(), 2);
}

/// A method, metadata and a message; the code and a part of the message that it is refused with.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>, &'a str, &'a str);

#[test]
fn mistakes_have_the_status_of_mistakes() {
    let subject = Subject::new();
    let server = subject.serve_with(with(|limits| limits.body_bytes = 1000));
    run(async {
        let channel = connect(&server).await;
        let fine = infer(&[1.0, 2.0]).encode_to_vec();
        let unknown = ModelReadyRequest {
            name: "nobody".to_owned(),
            ..ModelReadyRequest::default()
        };
        let metadata = "/inference.GRPCInferenceService/ModelMetadata";
        let cases: Vec<Case<'_>> = vec![
            (INFER, &[], infer(&[1.0]).encode_to_vec(), "3", "shape"),
            (INFER, &[], vec![0xff], "3", "malformed protobuf"),
            (INFER, &[], vec![0; 1001], "3", "body_bytes"),
            (
                INFER,
                &[],
                infer(&[-1.0, 0.0]).encode_to_vec(),
                "13",
                "on purpose",
            ),
            (
                INFER,
                &[("grpc-timeout", "soon")],
                fine.clone(),
                "3",
                "grpc-timeout",
            ),
            (
                INFER,
                &[("grpc-timeout", "0S")],
                fine.clone(),
                "4",
                "deadline",
            ),
            (
                "/inference.GRPCInferenceService/No",
                &[],
                vec![],
                "12",
                "not offered",
            ),
            (metadata, &[], unknown.encode_to_vec(), "5", "nobody"),
            (metadata, &[], vec![0xff], "3", "malformed protobuf"),
        ];
        for (path, metadata, message, code, part) in cases {
            let ended = channel.call(path, metadata, &message).await.end().await;
            assert_eq!(ended.code, code, "{part}: {ended:?}");
            assert!(ended.message.contains(part), "{part}: {ended:?}");
        }
        let long = "x".repeat(20_000);
        let ended = channel
            .call(INFER, &[("big", &long)], &fine)
            .await
            .end()
            .await;
        assert!(
            ended.message.contains("header_bytes") || ended.http == 431,
            "{ended:?}"
        );
        let text = channel.call(INFER, &[("content-type", "text/plain")], &fine);
        assert_eq!(text.await.end().await.http, 415);
        let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
        assert_eq!(ended.code, "0");
    });
}

#[test]
fn four_gigabytes_are_refused_at_their_prefix() {
    let server = Subject::new().serve();
    run(async {
        let channel = connect(&server).await;
        let (pipe, call) = channel.start(INFER, &[]);
        pipe.send(Bytes::from_static(&[0, 255, 255, 255, 255]))
            .unwrap();
        let ended = call.await.unwrap().end().await;
        assert_eq!(ended.code, "3");
        assert!(ended.message.contains("body_bytes"), "{ended:?}");
        drop(pipe);
    });
}

#[test]
fn a_message_that_does_not_come_is_given_up() {
    let options = with(|limits| limits.body_timeout = Duration::from_millis(50));
    let server = Subject::new().serve_with(options);
    run(async {
        let channel = connect(&server).await;
        let (pipe, call) = channel.start(INFER, &[]);
        pipe.send(Bytes::from_static(&[0, 0, 0, 0, 9, 1])).unwrap();
        let ended = call.await.unwrap().end().await;
        assert_eq!(ended.code, "4");
        assert!(ended.message.contains("body_timeout"), "{ended:?}");
        drop(pipe);
        let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
        assert_eq!(ended.code, "0");
    });
}

#[test]
fn work_of_clients_that_have_gone_is_dropped() {
    let subject = Subject::new();
    let server = subject.serve();
    run(async {
        let channel = connect(&server).await;
        let closed = subject.door.lock().unwrap();
        let busy = channel.clone();
        let busy = spawn_local(async move { busy.ask(INFER, &infer(&[1.0, 2.0])).await });
        soon("the model is busy", || subject.runs() == 1).await;
        let gone = channel.clone();
        let gone = spawn_local(async move { gone.ask(INFER, &infer(&[1.0, 2.0])).await });
        // A stream's requests go with it.
        let (pipe, call) = channel.start(STREAM, &[]);
        let stream = spawn_local(async move { call.await.unwrap().next().await });
        for _ in 0..3 {
            pipe.send(framed(&infer(&[1.0, 2.0]).encode_to_vec()))
                .unwrap();
        }
        soon("they wait", || subject.queued() == 4).await;
        gone.abort();
        stream.abort();
        assert!(gone.await.is_err() && stream.await.is_err());
        drop(pipe);
        // Answered after what was sent before, so the server has read that they are gone.
        let (_, ended) = channel
            .ask(
                "/inference.GRPCInferenceService/ServerLive",
                &ServerReadyRequest {},
            )
            .await;
        assert_eq!(ended.code, "0");
        drop(closed);
        assert_eq!(busy.await.unwrap().1.code, "0");
        soon("their work leaves the queue", || subject.queued() == 0).await;
        soon("nothing of it ran", || {
            let batches = subject.model.statistics().batches;
            batches.refused(tidegate_runtime::Reason::Abandoned) == 4
        })
        .await;
        assert_eq!(subject.runs(), 1);
    });
}

#[test]
fn the_deadline_of_a_call_is_kept_in_the_queue() {
    let subject = Subject::new();
    let server = subject.serve();
    run(async {
        let channel = connect(&server).await;
        let closed = subject.door.lock().unwrap();
        let busy = channel.clone();
        let busy = spawn_local(async move { busy.ask(INFER, &infer(&[1.0, 2.0])).await });
        soon("the model is busy", || subject.runs() == 1).await;
        let message = infer(&[1.0, 2.0]).encode_to_vec();
        let hurried = spawn_local(async move {
            let call = channel.call(INFER, &[("grpc-timeout", "20m")], &message);
            call.await.end().await
        });
        soon("it waits", || {
            subject.queued() == 1 || hurried.is_finished()
        })
        .await;
        let begun = std::time::Instant::now();
        soon("the deadline has passed", || {
            hurried.is_finished() || begun.elapsed() > Duration::from_millis(40)
        })
        .await;
        drop(closed);
        assert_eq!(hurried.await.unwrap().code, "4");
        assert_eq!(busy.await.unwrap().1.code, "0");
        assert_eq!(subject.runs(), 1);
    });
}

fn reply(message: &[u8]) -> (String, String, bool) {
    let reply = ModelStreamInferResponse::decode(message).unwrap();
    let inner = reply.infer_response.unwrap();
    let last = inner.parameters.contains_key("triton_final_response");
    (reply.error_message, inner.id, last)
}

#[test]
fn a_stream_answers_in_order_and_ends_with_the_client() {
    let server = Subject::new().serve();
    run(async {
        let channel = connect(&server).await;
        let (pipe, call) = channel.start(STREAM, &[]);
        // More than may be under way at once; one of them large, one wrong, one no message at all.
        let large: Vec<f32> = vec![0.5; 200_000];
        for i in 0..200 {
            let mut request = match i {
                7 => infer(&large),
                11 => infer(&[1.0]),
                _ => infer(&[i as f32, 0.0]),
            };
            request.id = i.to_string();
            pipe.send(framed(&request.encode_to_vec())).unwrap();
        }
        pipe.send(framed(&[0xff])).unwrap();
        drop(pipe);
        let mut call = call.await.unwrap();
        for i in 0..200 {
            let (error, id, last) = reply(&call.next().await.unwrap());
            assert_eq!((id, last), (i.to_string(), true));
            assert_eq!(error.is_empty(), i != 11, "{error}");
        }
        let (error, id, _) = reply(&call.next().await.unwrap());
        assert!(
            error.contains("malformed protobuf") && id.is_empty(),
            "{error}"
        );
        assert_eq!(call.end().await.code, "0");
    });
}

#[test]
fn a_drain_answers_what_is_under_way_and_ends_streams() {
    let subject = Subject::new();
    let server = subject.serve();
    run(async {
        let (channel, connection) = Channel::new(server.grpc_address().unwrap()).await;
        let watched = "/grpc.health.v1.Health/Watch";
        let request = HealthCheckRequest::default().encode_to_vec();
        let mut watch = channel.call(watched, &[], &request).await;
        let status = |bytes: Bytes| HealthCheckResponse::decode(bytes).unwrap().status;
        assert_eq!(status(watch.next().await.unwrap()), 1);
        let closed = subject.door.lock().unwrap();
        let (pipe, call) = channel.start(STREAM, &[]);
        let call = spawn_local(call);
        pipe.send(framed(&infer(&[1.0, 2.0]).encode_to_vec()))
            .unwrap();
        soon("the model is busy", || subject.runs() == 1).await;
        let unary = channel.clone();
        let unary = spawn_local(async move { unary.ask(INFER, &infer(&[1.0, 2.0])).await });
        soon("another waits", || subject.queued() == 1).await;

        server.begin_drain();
        assert_eq!(status(watch.next().await.unwrap()), 2);
        let ready = "/inference.GRPCInferenceService/ServerReady";
        let (answer, ended) = channel.ask(ready, &ServerReadyRequest {}).await;
        assert_eq!(ended.code, "0");
        assert!(
            !ServerReadyResponse::decode(answer.as_slice())
                .unwrap()
                .ready
        );

        let drained = std::thread::spawn(move || server.drain(wire::PATIENCE));
        assert_eq!(watch.end().await.code, "0");
        drop(closed);
        let mut stream = call.await.unwrap().unwrap();
        assert_eq!(reply(&stream.next().await.unwrap()).0, "");
        let ended = stream.end().await;
        assert_eq!(ended.code, "14");
        assert!(ended.message.contains("draining"), "{ended:?}");
        assert_eq!(unary.await.unwrap().1.code, "0");
        drop((pipe, channel));
        assert!(connection.await.unwrap());
        soon("the server has ended", || drained.is_finished()).await;
        assert!(drained.join().unwrap());
    });
}

#[test]
fn a_connection_that_rests_is_asked_to_end() {
    let options = with(|limits| limits.idle_timeout = Duration::from_millis(100));
    let server = Subject::new().serve_with(options);
    run(async {
        let (channel, connection) = Channel::new(server.grpc_address().unwrap()).await;
        let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
        assert_eq!(ended.code, "0");
        // By GOAWAY, not by a reset.
        assert!(connection.await.unwrap());
        drop(channel);
        soon("it is gone", || server.connections() == 0).await;
    });
}

#[test]
fn one_connection_too_many_is_told_why() {
    let server = Subject::new().serve_with(with(|limits| limits.connections = 1));
    run(async {
        let (channel, _held) = Channel::new(server.grpc_address().unwrap()).await;
        let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
        assert_eq!(ended.code, "0");
        let address = server.grpc_address().unwrap();
        let told = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let mut other = std::net::TcpStream::connect(address).unwrap();
            std::io::Read::read_to_end(&mut other, &mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        assert!(told.await.unwrap().contains("limit connections"));
        let (_, ended) = channel.ask(INFER, &infer(&[1.0, 2.0])).await;
        assert_eq!(ended.code, "0");
    });
}
