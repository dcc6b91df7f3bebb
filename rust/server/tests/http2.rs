//! HTTP/2 without encryption on the port of HTTP/1.1: prior knowledge, many requests at once.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

mod wire;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidegate_server::access::{Access, Keys};
use wire::subject::Subject;
use wire::{Client, control, received, server};

type Sender = http2::SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Sender {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    sender: &mut Sender,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://server.test{path}"))
        .body(Full::new(body.into()))
        .unwrap();
    sender.ready().await.unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let test = async {
        tokio::time::timeout(Duration::from_secs(60), test)
            .await
            .unwrap()
    };
    runtime.unwrap().block_on(test)
}

#[test]
fn both_versions_share_the_port() {
    let server = server(|_| {});
    let address = server.address();
    run(async {
        let mut sender = connect(address).await;
        let live = ask(&mut sender, Method::GET, "/v2/health/live", "").await;
        assert_eq!(live.status(), 200);
        assert_eq!(live.body(), r#"{"live":true}"#);
        assert!(live.headers().contains_key("x-request-id"));
        let missing = ask(&mut sender, Method::POST, "/v2/models/none/infer", "{}").await;
        assert_eq!(missing.status(), 404);
        assert_eq!(missing.headers()["content-type"], "application/json");
        let echoes = (0..500).map(|_| {
            let mut sender = sender.clone();
            async move { ask(&mut sender, Method::POST, "/v2/echo", vec![b' '; 70_000]).await }
        });
        let echoes: Vec<_> = echoes.map(tokio::spawn).collect();
        for echo in echoes {
            assert_eq!(echo.await.unwrap().status(), 200);
        }
    });
    let mut one = Client::new(address);
    assert_eq!(one.ask("GET", "/v2/health/live", "", b"").status, 200);
    // An offer to upgrade is passed over, as it may be: the answer is HTTP/1.1.
    let offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    let answer = one.ask("GET", "/v2/health/live", offer, b"");
    assert!(answer.head.starts_with("HTTP/1.1 200"));
    assert!(server.drain(Duration::from_secs(10)));
}

#[test]
fn requests_of_one_connection_each_find_their_version() {
    const USERS: usize = 100;
    let subject = Subject::new();
    subject.share(9);
    let server = subject.serve();
    let address = server.address();
    let path = "/v2/models/twice/infer";
    let body = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"#;
    let told = |body: &[u8]| {
        let said: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(said["parameters"]["revision"], 9);
        said["model_version"].as_str().unwrap().to_owned()
    };
    let by_http2: Vec<String> = run(async {
        let sender = connect(address).await;
        let asked = (0..USERS).map(|user| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let request = Request::builder()
                    .method(Method::POST)
                    .uri(format!("http://server.test{path}"))
                    .header("x-user", user.to_string())
                    .body(Full::new(Bytes::from_static(body.as_bytes())));
                sender.ready().await.unwrap();
                let answer = sender.send_request(request.unwrap()).await.unwrap();
                let version = answer.headers()["x-tidegate-version"].clone();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                (version, body)
            })
        });
        let mut versions = Vec::new();
        for asked in asked.collect::<Vec<_>>() {
            let (version, body) = asked.await.unwrap();
            versions.push(told(&body));
            assert_eq!(version.to_str().unwrap(), versions[versions.len() - 1]);
        }
        versions
    });
    let mut one = Client::new(address);
    let by_http1: Vec<String> = (0..USERS)
        .map(|user| {
            let headers = format!("x-user: {user}\r\n");
            told(&one.ask("POST", path, &headers, body.as_bytes()).body)
        })
        .collect();
    assert_eq!(by_http1, by_http2);
    let second = by_http1.iter().filter(|version| *version == "2.0.0");
    assert!((20..80).contains(&second.count()));
}

#[test]
fn a_preface_in_pieces_is_still_a_preface_and_nonsense_is_not() {
    let server = server(|_| {});
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for byte in preface {
        stream.write_all(&[*byte]).unwrap();
        stream.flush().unwrap();
    }
    // The server's own settings frame.
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4);
    let mut odd = Client::new(server.address());
    odd.send("PRI / HTTP/1.1\r\nhost: t\r\n\r\n");
    let answer = odd.read().unwrap();
    assert!(matches!(answer.status, 404 | 405), "{}", answer.head);
}

#[test]
fn limits_hold_for_streams_too() {
    let server = server(|options| options.limits.body_bytes = 1000);
    run(async {
        let mut sender = connect(server.address()).await;
        let large = ask(&mut sender, Method::POST, "/v2/echo", vec![b'x'; 5000]).await;
        assert_eq!(large.status(), 413);
        let heads = Request::builder()
            .uri("http://server.test/v2/health/live")
            .header("x-long", "x".repeat(20_000))
            .body(Full::new(Bytes::new()))
            .unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(heads).await.unwrap();
        assert_eq!(answer.status(), 431);
        assert_eq!(
            ask(&mut sender, Method::GET, "/v2/health/live", "")
                .await
                .status(),
            200
        );
    });
}

#[test]
fn who_is_not_let_in_is_told_whatever_the_body() {
    let access = Arc::new(Access::default());
    access.set_keys(Some(Keys::default()));
    let server = server(|options| options.access = access);
    run(async {
        let mut sender = connect(server.address()).await;
        for _ in 0..3 {
            let refused = ask(&mut sender, Method::POST, "/v2/echo", vec![b'x'; 3_000_000]).await;
            assert_eq!(refused.status(), 401);
            assert!(refused.headers().contains_key("www-authenticate"));
            assert!(refused.headers().contains_key("x-request-id"));
        }
        let live = ask(&mut sender, Method::GET, "/v2/health/live", "").await;
        assert_eq!(live.status(), 200);
    });
}

/// A body of one piece, which may stop there without an end.
struct Piece {
    bytes: Option<Bytes>,
    ends: bool,
}

impl Body for Piece {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[test]
fn a_body_that_stops_is_given_up_and_others_are_not() {
    let server = server(|options| options.limits.body_timeout = Duration::from_millis(100));
    run(async {
        let stream = tokio::net::TcpStream::connect(server.address()).await;
        let io = TokioIo::new(stream.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        for (ends, status) in [(false, 400), (true, 200)] {
            let request = Request::post("http://server.test/v2/echo").body(Piece {
                bytes: Some(Bytes::from_static(b"{}")),
                ends,
            });
            sender.ready().await.unwrap();
            let answer = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), status);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(text.contains("body_timeout"), !ends, "{text}");
        }
    });
}

#[test]
fn a_connection_that_rests_is_cut() {
    let server = server(|options| options.limits.idle_timeout = Duration::from_millis(300));
    run(async {
        let stream = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let first = ask(&mut sender, Method::POST, "/v2/echo", "{}").await;
        assert_eq!(first.status(), 200);
        // Nothing more is sent, and the client keeps its end: only the server can end it.
        let _ = connection.await.unwrap();
    });
}

#[test]
fn the_control_plane_is_reached_over_both() {
    let socket = control("http2", |mut stream| {
        let (head, _) = received(&mut stream);
        let head = head.to_ascii_lowercase();
        let fine = head.starts_with("get /docs http/1.1\r\n")
            && head.contains("\r\nhost: server.test\r\n")
            && head.contains("\r\nx-request-id: mine\r\n");
        let status = if fine { "200 OK" } else { "400 Bad" };
        let length = head.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{head}");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let server = server(|options| options.control_socket = Some(socket));
    run(async {
        let mut sender = connect(server.address()).await;
        let request = Request::builder()
            .uri("http://server.test/docs")
            .header("x-request-id", "mine")
            .body(Full::new(Bytes::new()))
            .unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "mine");
        assert_eq!(answer.status(), 200);
    });
}
