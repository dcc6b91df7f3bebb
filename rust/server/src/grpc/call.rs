//! From a gRPC request to its reply.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use tidegate_protocol::grpc::Code;
use tidegate_protocol::grpc::messages::{
    ModelConfigRequest, ModelConfigResponse, ModelMetadataRequest, ModelMetadataResponse,
    ModelReadyRequest, ModelReadyResponse, ModelStatisticsRequest, ModelStatisticsResponse,
    RepositoryIndexRequest, RepositoryIndexResponse, ServerLiveResponse, ServerReadyResponse,
};
use tidegate_runtime::Model;
use tidegate_schema::{Error, ErrorKind, Result};

use super::admission::{Admission, decide};
use super::body::Body;
use super::connection::Peer;
use super::messages::Messages;
use super::methods::Method;
use super::status::Status;
use super::timeout::timeout;
use super::{health, infer, logging, reply, repository, stream};
use crate::access::{Action, Asked, Caller};
use crate::access_log::Outcome;
use crate::log::Noted;
use crate::pulse::Busy;
use crate::record::{Kind, Record};
use crate::service::Service;
use crate::trace::{REQUEST_ID, Trace};
use crate::{errors, meta};

/// Most bytes of a request that holds no tensors: names and a few parameters. A generated message
/// takes many times the memory of its bytes.
const SMALL_MESSAGE: usize = 1024 * 1024;

/// One request under way.
#[derive(Clone)]
pub struct Call {
    /// The thread's service.
    pub service: Service,
    /// Who asks.
    pub peer: Rc<Peer>,
    /// What for.
    pub method: Method,
    /// The metadata.
    pub metadata: Rc<HeaderMap>,
    /// The request's id.
    pub id: HeaderValue,
    /// When its head had come.
    pub begun: Instant,
    /// When the answer is of no use any more.
    pub deadline: Option<Instant>,
    /// What was decided on it.
    pub admission: Rc<Admission>,
}

impl Call {
    /// The model of a name and a version; an empty version asks for the stable one.
    pub fn model(&self, name: &str, version: &str) -> Result<Arc<Model>> {
        self.service.shared.runtime.model(name, asked(version))
    }

    /// A reader of the request's messages.
    pub fn messages(&self, body: Incoming, limit: usize) -> Messages<Incoming> {
        let coding = self.metadata.get("grpc-encoding");
        let coding = coding.map_or(&b""[..], |value| value.as_bytes());
        Messages::new(body, limit, &self.service.shared.options.limits, coding)
    }

    /// Tensors may take as much as over HTTP.
    pub fn body_bytes(&self) -> usize {
        self.service.shared.options.limits.body_bytes
    }

    /// The only message of a request without tensors.
    pub async fn read<M: Message + Default>(&self, body: Incoming) -> Result<M> {
        let limit = SMALL_MESSAGE.min(self.body_bytes());
        let message = self.messages(body, limit).only().await?;
        M::decode(message).map_err(|error| {
            Error::invalid(format!(
                "malformed protobuf: {error}: encode the message with a protobuf library"
            ))
        })
    }
}

/// The version that a message asks for; an empty one asks for none.
fn asked(version: &str) -> Option<&str> {
    (!version.is_empty()).then_some(version)
}

/// Answers a request of a connection. Never fails: what goes wrong is said as a status.
pub async fn answer(
    service: Service,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Response<Body> {
    let begun = Instant::now();
    let busy = peer.pulse.begin(request.version());
    let shared = Arc::clone(&service.shared);
    let trace = Trace::of(request.headers(), &shared.ids);
    let method = Method::find(request.uri().path());
    let mut record = Record::begin(&shared, &request, Kind::Grpc(method), &trace, peer.address);
    let (verb, target) = (request.method().clone(), request.uri().clone());
    let Answered {
        mut response,
        code,
        error,
        caller,
    } = respond(service, peer, request, method, &trace, begun, busy).await;
    if let Some(caller) = &caller {
        record.asked_by(caller);
    }
    record.answered(|| Outcome {
        grpc: code.map(|code| code.number().into()),
        ..Outcome::of(&response)
    });
    shared.log.request(&Noted {
        id: trace.id(),
        method: verb.as_str(),
        path: target.path(),
        status: code.map_or("no gRPC", Code::name),
        ours: code == Some(Code::Internal),
        text: error.as_ref().map_or(&[], |error| error.message.as_bytes()),
        took: begun.elapsed(),
    });
    response.headers_mut().insert(REQUEST_ID, trace.id);
    response
}

/// A response and what the logs say of it.
struct Answered {
    response: Response<Body>,
    /// Absent for what was no gRPC.
    code: Option<Code>,
    error: Option<Error>,
    caller: Option<Arc<Caller>>,
}

async fn respond(
    service: Service,
    peer: Rc<Peer>,
    request: Request<Incoming>,
    method: Option<Method>,
    trace: &Trace,
    begun: Instant,
    busy: Busy,
) -> Answered {
    let (parts, body) = request.into_parts();
    let foreign = |status| Answered {
        response: reply::no_grpc(status),
        code: None,
        error: None,
        caller: None,
    };
    if parts.method != http::Method::POST {
        return foreign(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = parts.headers.get(CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return foreign(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let Some(method) = method else {
        return unknown(
            &service,
            &parts.headers,
            peer.address.ip(),
            parts.uri.path(),
        );
    };
    let counters = Arc::clone(&service.counters);
    let mut call = Call {
        service,
        peer,
        method,
        metadata: Rc::new(parts.headers),
        id: trace.id.clone(),
        begun,
        deadline: None,
        admission: Rc::default(),
    };
    let outcome = match timeout(&call.metadata) {
        Err(error) => Err(error.into()),
        Ok(limit) => {
            call.deadline = limit.and_then(|limit| begun.checked_add(limit));
            dispatch(call.clone(), body, busy).await
        }
    };
    let (mut response, code, error) = match outcome {
        Ok(response) => (response, Code::Ok, None),
        Err(status) => {
            let status = status.map(|error| call.failed(error));
            (reply::refused(&status), status.code, Some(status.error))
        }
    };
    counters.grpc.answered(method, code, begun.elapsed());
    errors::mark(response.headers_mut(), call.allowance());
    let failed = code != Code::Ok;
    call.admission.named.mark(response.headers_mut(), failed);
    Answered {
        response,
        code: Some(code),
        error,
        caller: call.admission.caller(),
    }
}

/// The reply to a method that there is not, which only somebody known is told.
fn unknown(service: &Service, metadata: &HeaderMap, peer: IpAddr, path: &str) -> Answered {
    let asked = Asked::server(Action::Known);
    let (error, allowance, caller) = match decide(service, metadata, peer, &asked) {
        Err(refusal) => (refusal.error, refusal.allowance, None),
        Ok(pass) => {
            let message =
                format!("method {path} is not offered: see docs/protocol.md for those that are");
            let error = Error::new(ErrorKind::Unsupported, message);
            (error, pass.allowance, pass.caller)
        }
    };
    let status = Status::from(error);
    let mut response = reply::refused(&status);
    errors::mark(response.headers_mut(), allowance);
    Answered {
        response,
        code: Some(status.code),
        error: Some(status.error),
        caller,
    }
}

async fn dispatch(
    call: Call,
    body: Incoming,
    busy: Busy,
) -> std::result::Result<Response<Body>, Status> {
    call.begin()?;
    let message = match call.method {
        // Each of its messages is admitted by itself.
        Method::ModelStreamInfer => return Ok(stream::answer(call, body, busy)),
        Method::HealthWatch => return health::watch(call, body, busy).await,
        Method::RepositoryModelLoad => repository::load(&call, body).await?,
        Method::RepositoryModelUnload => repository::unload(&call, body).await?,
        _ => unary(&call, body).await?,
    };
    Ok(reply::whole(message, busy))
}

async fn unary(call: &Call, body: Incoming) -> Result<Bytes> {
    let shared = &call.service.shared;
    match call.method {
        Method::ModelInfer => infer::answer(call, body).await,
        Method::HealthCheck => health::check(call, body).await,
        Method::LogSettings => logging::answer(call, body).await,
        Method::ServerReady => {
            call.admit(None)?;
            let ready = shared.ready();
            reply::message(&ServerReadyResponse { ready })
        }
        Method::ServerMetadata => {
            call.admit(None)?;
            reply::message(&meta_response())
        }
        Method::ModelReady => {
            let request: ModelReadyRequest = call.read(body).await?;
            call.admit(Some(&request.name))?;
            // A deployed model is ready: it was loaded and proven before.
            let ready = call.model(&request.name, &request.version).is_ok();
            reply::message(&ModelReadyResponse { ready })
        }
        Method::ModelMetadata => {
            let request: ModelMetadataRequest = call.read(body).await?;
            call.admit(Some(&request.name))?;
            let deployment = shared.runtime.deployment(&request.name)?;
            let arms = meta::arms(&deployment, asked(&request.version))?;
            let versions = meta::versions(arms);
            let model = call.model(&request.name, &request.version)?;
            let metadata = meta::metadata_of(&request.name, &versions, &model);
            reply::message(&ModelMetadataResponse::from(&metadata))
        }
        Method::ModelConfig => {
            let request: ModelConfigRequest = call.read(body).await?;
            call.admit(Some(&request.name))?;
            let model = call.model(&request.name, &request.version)?;
            let config = Some((&meta::config_of(&request.name, &model)).into());
            reply::message(&ModelConfigResponse { config })
        }
        Method::ModelStatistics => {
            let request: ModelStatisticsRequest = call.read(body).await?;
            statistics(call, &request)
        }
        Method::RepositoryIndex => {
            // What is deployed is ready, so that both values of `ready` ask for the same.
            let _: RepositoryIndexRequest = call.read(body).await?;
            call.admit(None)?;
            let index = shared.runtime.index();
            let arms = index.iter().flat_map(|deployment| deployment.arms());
            let models = arms.map(|arm| (&meta::entry_of(arm)).into());
            reply::message(&RepositoryIndexResponse {
                models: models.collect(),
            })
        }
        _ => {
            call.admit(None)?;
            reply::message(&ServerLiveResponse { live: true })
        }
    }
}

fn meta_response() -> tidegate_protocol::grpc::messages::ServerMetadataResponse {
    (&meta::SERVER).into()
}

/// Statistics of one model, or of all where no name is given.
fn statistics(call: &Call, request: &ModelStatisticsRequest) -> Result<Bytes> {
    if request.name.is_empty() {
        call.admit(None)?;
        let index = call.service.shared.runtime.index();
        let arms = index.iter().flat_map(|deployment| deployment.arms());
        let stats = arms.map(|arm| (&meta::statistics_of(arm)).into());
        return reply::message(&ModelStatisticsResponse {
            model_stats: stats.collect(),
        });
    }
    call.admit(Some(&request.name))?;
    let deployment = call.service.shared.runtime.deployment(&request.name)?;
    let arms = meta::arms(&deployment, asked(&request.version))?;
    let stats = arms.iter().map(|arm| (&meta::statistics_of(arm)).into());
    reply::message(&ModelStatisticsResponse {
        model_stats: stats.collect(),
    })
}
