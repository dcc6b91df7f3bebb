//! Errors as answers. Which status a kind of error has is the protocol's to say.

use http::header::{HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde_json::json;
use tidegate_protocol as protocol;
use tidegate_schema::{Error, ErrorKind};

use crate::reply::{JSON, Reply, typed};

/// Seconds after which a client that was sent away may try again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The HTTP status of a kind of error.
#[must_use]
pub fn status(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(protocol::status(kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The same as a number.
#[must_use]
pub fn status_code(kind: ErrorKind) -> u16 {
    status(kind).as_u16()
}

/// The answer to a request that failed: `{"error": "one sentence"}`.
#[must_use]
pub fn reply(error: &Error) -> Reply {
    text(status(error.kind), &error.message)
}

/// An error with a status that no kind of the core has.
#[must_use]
pub fn text(status: StatusCode, message: &str) -> Reply {
    let mut reply = typed(status, JSON, json!({ "error": message }).to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    reply
}

/// A known path, asked with a method that it does not have.
#[must_use]
pub fn method(used: &http::Method, path: &str, allowed: &'static str) -> Reply {
    let message = format!("{used} is not a method of {path}: use {allowed}");
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, &message);
    let name: HeaderName = http::header::ALLOW;
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(allowed));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_of_failure() {
        for kind in ErrorKind::ALL {
            let status = status(kind);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{kind:?}"
            );
            let reply = reply(&Error::new(kind, "a \"quoted\" text"));
            assert_eq!(reply.headers()["content-type"], "application/json");
            assert_eq!(
                &reply.body()[..],
                br#"{"error":"a \"quoted\" text"}"#,
                "{kind:?}"
            );
            assert_eq!(
                reply.headers().contains_key("retry-after"),
                reply.status() == StatusCode::SERVICE_UNAVAILABLE
            );
        }
    }
}
