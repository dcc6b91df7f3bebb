//! A gRPC client that sends messages as it is told, on hyper's HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Request};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use prost::Message;
use tidegate_protocol::grpc::messages::model_infer_request::InferInputTensor;
use tidegate_protocol::grpc::messages::{ModelInferRequest, ModelInferResponse};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::PATIENCE;

pub const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
pub const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// Runs a test's futures, for no longer than a test may take.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, test).await })
        .unwrap()
}

#[derive(Clone, Copy)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Bytes of a request as they are sent.
pub struct Pipe(mpsc::UnboundedReceiver<Bytes>);

impl Body for Pipe {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A message with its prefix.
pub fn framed(message: &[u8]) -> Bytes {
    let mut out = vec![0];
    out.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

/// A request for the model `twice`.
pub fn infer(values: &[f32]) -> ModelInferRequest {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    ModelInferRequest {
        model_name: "twice".to_owned(),
        id: "mine".to_owned(),
        inputs: vec![InferInputTensor {
            name: "x".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![values.len() as i64 / 2, 2],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![raw.into()],
        ..ModelInferRequest::default()
    }
}

/// The values of an answer.
pub fn values(message: &[u8]) -> Vec<f32> {
    let reply = ModelInferResponse::decode(message).unwrap();
    let (chunks, _) = reply.raw_output_contents[0].as_chunks();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    pub http: u16,
    pub code: String,
    pub message: String,
    pub metadata: HeaderMap,
}

impl Ended {
    fn new(http: u16, metadata: HeaderMap) -> Self {
        let text = |name: &str| {
            let value = metadata.get(name);
            value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
        };
        Self {
            http,
            code: text("grpc-status"),
            message: text("grpc-message"),
            metadata,
        }
    }
}

/// A call under way. Dropping it tells the server that nobody waits.
pub struct Call {
    http: u16,
    pub head: HeaderMap,
    body: Incoming,
    held: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Call {
    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.held.len() >= 5 {
                let length = u32::from_be_bytes(self.held[1..5].try_into().unwrap()) as usize;
                if self.held.len() >= 5 + length {
                    self.held.advance(5);
                    return Some(self.held.split_to(length).freeze());
                }
            }
            let frame =
                std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            match frame.await?.ok()?.into_data() {
                Ok(data) => self.held.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// Reads to the end.
    pub async fn end(mut self) -> Ended {
        while self.next().await.is_some() {}
        Ended::new(self.http, self.trailers.unwrap_or(self.head))
    }
}

/// One connection.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<Pipe>,
}

impl Channel {
    /// Connects; the handle ends when the connection does.
    pub async fn new(address: SocketAddr) -> (Self, JoinHandle<bool>) {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http2::handshake(Here, TokioIo::new(stream)).await.unwrap();
        let ended = tokio::task::spawn_local(async move { connection.await.is_ok() });
        (Self { sender }, ended)
    }

    /// Starts a call, whose request is written to the sender until that is dropped.
    pub fn start(
        &self,
        path: &str,
        metadata: &[(&str, &str)],
    ) -> (
        mpsc::UnboundedSender<Bytes>,
        impl Future<Output = hyper::Result<Call>> + use<>,
    ) {
        let (pipe, body) = mpsc::unbounded_channel();
        let mut request = Request::post(format!("http://test{path}"));
        if !metadata.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in metadata {
            request = request.header(*name, *value);
        }
        let request = request.body(Pipe(body)).unwrap();
        let mut sender = self.sender.clone();
        let call = async move {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            Ok(Call {
                http: parts.status.as_u16(),
                head: parts.headers,
                body,
                held: BytesMut::new(),
                trailers: None,
            })
        };
        (pipe, call)
    }

    /// A call with one message.
    pub async fn call(&self, path: &str, metadata: &[(&str, &str)], message: &[u8]) -> Call {
        let (pipe, call) = self.start(path, metadata);
        pipe.send(framed(message)).unwrap();
        drop(pipe);
        call.await.unwrap()
    }

    /// A call with one message and one answer.
    pub async fn ask(&self, path: &str, message: &impl Message) -> (Vec<u8>, Ended) {
        let mut call = self.call(path, &[], &message.encode_to_vec()).await;
        let answer = call.next().await.map_or(Vec::new(), |bytes| bytes.to_vec());
        (answer, call.end().await)
    }
}
