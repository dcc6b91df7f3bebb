//! Errors as HTTP clients see them: a status and `{"error": "…"}`.

use tidegate_schema::{Error, ErrorKind};

use crate::write;

/// The HTTP status of a kind of error. Where Triton answers 500 to malformed requests, these are
/// the caller's errors and get 400.
#[must_use]
pub const fn status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidInput => 400,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::AlreadyExists => 409,
        ErrorKind::TooLarge => 413,
        ErrorKind::RateLimited => 429,
        ErrorKind::Cancelled => 499,
        ErrorKind::Unsupported => 501,
        ErrorKind::Overloaded | ErrorKind::NotReady | ErrorKind::Closed => 503,
        ErrorKind::Deadline => 504,
        ErrorKind::Integrity | ErrorKind::State | ErrorKind::Backend | ErrorKind::Internal => 500,
    }
}

/// The body of an error reply. Send it as exactly `application/json`: KServe's client drops the
/// message when the type carries a charset.
#[must_use]
pub fn error_body(error: &Error) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + 16);
    out.extend_from_slice(b"{\"error\":");
    write::string(&mut out, &error.message);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_error_status() {
        for kind in ErrorKind::ALL {
            assert!((400..600).contains(&status(kind)), "{kind:?}");
        }
    }

    #[test]
    fn bodies_are_json_whatever_the_message_says() {
        let body = error_body(&Error::invalid("a \"quoted\"\nname \u{1}"));
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"], "a \"quoted\"\nname \u{1}");
    }
}
