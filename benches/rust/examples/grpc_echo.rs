//! The floor of gRPC: tonic with the protocol's messages, answering every inference alike.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --example grpc_echo -- PORT
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tidegate_protocol::grpc::messages::{
    ModelInferRequest, ModelInferResponse, model_infer_response::InferOutputTensor,
};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// What a model of one row and two classes answers.
struct Answer;

impl UnaryService<ModelInferRequest> for Answer {
    type Response = ModelInferResponse;
    type Future = Ready<Result<Response<ModelInferResponse>, Status>>;

    fn call(&mut self, request: Request<ModelInferRequest>) -> Self::Future {
        let tensor = |name: &str, datatype: &str, shape: &[i64]| InferOutputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            ..InferOutputTensor::default()
        };
        let bytes = |numbers: Vec<u8>| numbers.into();
        let probabilities = [0.75_f32, 0.25].map(f32::to_le_bytes).concat();
        ready(Ok(Response::new(ModelInferResponse {
            model_name: request.into_inner().model_name,
            model_version: "1".to_owned(),
            outputs: vec![
                tensor("label", "INT64", &[1]),
                tensor("probabilities", "FP32", &[1, 2]),
            ],
            raw_output_contents: vec![bytes(vec![0; 8]), bytes(probabilities)],
            ..ModelInferResponse::default()
        })))
    }
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(Answer, request).await)
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("give a port")?.parse()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(
            tonic::transport::Server::builder()
                .tcp_nodelay(true)
                .add_service(Echo)
                .serve(address),
        )?;
    Ok(())
}
