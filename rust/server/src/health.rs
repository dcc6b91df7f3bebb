//! Probes. Each body says what each client reads: one looks for `live`, one for `ready`.

use bytes::Bytes;
use http::StatusCode;
use tidegate_protocol::metadata::{ModelReady, to_json};
use tidegate_schema::Result;

use crate::call::Call;
use crate::reply::{JSON, Reply, json, typed};
use crate::service::Service;

/// The process is alive: it has just answered.
pub fn live() -> Reply {
    json(Bytes::from_static(br#"{"live":true}"#))
}

/// May traffic be sent here? Not while the runtime is closed or the server drains.
pub fn ready(service: &Service) -> Reply {
    if service.shared.ready() {
        return json(Bytes::from_static(br#"{"live":true,"ready":true}"#));
    }
    typed(
        StatusCode::SERVICE_UNAVAILABLE,
        JSON,
        Bytes::from_static(br#"{"live":true,"ready":false,"error":"the server is not ready: it is starting or draining"}"#),
    )
}

/// Is the model ready? A deployed model is: it was loaded and proven before.
pub fn model(service: &Service, call: &Call<'_>) -> Result<Reply> {
    call.model(service)?;
    Ok(json(to_json(&ModelReady {
        name: call.name(),
        ready: true,
    })))
}
