//! `grpc.health.v1`: what load balancers and Kubernetes ask.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use tidegate_protocol::grpc::health::health_check_response::ServingStatus;
use tidegate_protocol::grpc::health::{HealthCheckRequest, HealthCheckResponse};
use tidegate_schema::{Error, Result};
use tokio::sync::mpsc;

use super::body::Body;
use super::call::Call;
use super::methods::INFERENCE;
use super::reply;
use super::status::Status;
use crate::pulse::Busy;
use crate::service::Shared;
use crate::task::Aborting;

/// How often a watched status is looked at: a drain that lasts longer is noticed.
const TICK: Duration = Duration::from_millis(200);

/// How a service is; `None` for one that is not known.
fn status(shared: &Shared, service: &str) -> Option<ServingStatus> {
    let known = service.is_empty() || service == INFERENCE || service == "grpc.health.v1.Health";
    known.then(|| {
        if shared.ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    })
}

fn message(status: ServingStatus) -> Result<Bytes> {
    let status = status.into();
    reply::message(&HealthCheckResponse { status })
}

/// `Check`.
pub async fn check(call: &Call, body: Incoming) -> Result<Bytes> {
    let request: HealthCheckRequest = call.read(body).await?;
    call.admit(None)?;
    let status = status(&call.service.shared, &request.service).ok_or_else(|| {
        Error::not_found(format!(
            "unknown service {:?}: ask for {INFERENCE}, or for nothing",
            request.service
        ))
    })?;
    message(status)
}

/// `Watch`: the status now and whenever it changes, until the client or the server goes.
pub async fn watch(
    call: Call,
    body: Incoming,
    busy: Busy,
) -> std::result::Result<Response<Body>, Status> {
    let request: HealthCheckRequest = call.read(body).await?;
    call.admit(None)?;
    let shared = Arc::clone(&call.service.shared);
    let mut closing = call.peer.closing();
    let (sender, replies) = mpsc::channel(1);
    let task = tokio::task::spawn_local(async move {
        let mut told = None;
        loop {
            let now = status(&shared, &request.service).unwrap_or(ServingStatus::ServiceUnknown);
            if told != Some(now) {
                told = Some(now);
                let sent = message(now).map_err(Status::from);
                if sender.send(sent).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = closing.wait_for(|closing| *closing) => {
                    if told != Some(ServingStatus::NotServing) && told != Some(ServingStatus::ServiceUnknown) {
                        let sent = message(ServingStatus::NotServing).map_err(Status::from);
                        let _ = sender.send(sent).await;
                    }
                    return;
                }
                () = sender.closed() => return,
            }
        }
    });
    Ok(reply::head(Body::Stream {
        replies,
        ended: false,
        _task: Aborting(task.abort_handle()),
        _busy: busy,
    }))
}
