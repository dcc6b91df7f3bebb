//! Answers as plain values: a status, headers and bytes.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use tidegate_protocol::arrow::MEDIA_TYPE;

use crate::errors;

/// An answer whose body is all there.
pub type Reply = Response<Bytes>;

/// Exactly this, without a charset: one client drops an error's text when anything follows.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Tensors as bytes.
pub const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Rows as an Arrow IPC stream.
pub const ARROW: HeaderValue = HeaderValue::from_static(MEDIA_TYPE);
/// The Prometheus text format.
pub const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// A body of this type.
pub fn typed(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

/// JSON bytes that are written already.
pub fn json(body: impl Into<Bytes>) -> Reply {
    typed(StatusCode::OK, JSON, body)
}

/// A value as JSON with this status.
pub fn value(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => typed(status, JSON, body),
        Err(error) => errors::reply(&tidegate_schema::Error::internal(format!(
            "an answer could not be written as JSON: {error}"
        ))),
    }
}
