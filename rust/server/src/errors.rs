//! Errors as answers. Which status a kind of error has is the protocol's to say.

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;
use tidegate_protocol as protocol;
use tidegate_schema::{Error, ErrorKind};

use crate::access::{Allowance, Refusal};
use crate::reply::{JSON, Reply, typed};

/// After how long a client that was sent away may try again, where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
    let mut reply = text(status(error.kind), &error.message);
    if let Some(time) = error.retry_after {
        later(&mut reply, time);
    }
    if error.kind == ErrorKind::Unauthenticated {
        let scheme = HeaderValue::from_static("Bearer realm=\"tidegate\"");
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    reply
}

/// The answer to a request that was not let in.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Reply {
    let mut refused = reply(&refusal.error);
    mark(refused.headers_mut(), refusal.allowance);
    refused
}

/// Says what is left of a rate limit.
pub fn mark(headers: &mut HeaderMap, allowance: Option<Allowance>) {
    for (name, value) in allowance.iter().flat_map(Allowance::headers) {
        headers.insert(name, value);
    }
}

/// Says when to try again, in whole seconds.
fn later(reply: &mut Reply, time: Duration) {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let value = HeaderValue::from(seconds.max(1));
    reply.headers_mut().insert(header::RETRY_AFTER, value);
}

/// An error with a status that no kind of the core has.
#[must_use]
pub fn text(status: StatusCode, message: &str) -> Reply {
    let mut reply = typed(status, JSON, json!({ "error": message }).to_string());
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        later(&mut reply, RETRY_AFTER);
    }
    reply
}

/// A known path, asked with a method that it does not have.
#[must_use]
pub fn method(used: &http::Method, path: &str, allowed: &'static str) -> Reply {
    let message = format!("{used} is not a method of {path}: use {allowed}");
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, &message);
    let name: HeaderName = header::ALLOW;
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
                matches!(reply.status().as_u16(), 429 | 503)
            );
        }
        let soon =
            Error::new(ErrorKind::Overloaded, "full").retry_after(Duration::from_millis(1200));
        assert_eq!(reply(&soon).headers()["retry-after"], "2");
    }
}
