//! The status that ends every call, as metadata.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tidegate_protocol::grpc::{Code, code};
use tidegate_schema::{Error, ErrorKind};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// After how many milliseconds to try again (the retry design of gRPC).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The codings of messages that are read.
const CODINGS: HeaderValue = HeaderValue::from_static("identity, deflate, gzip");
/// Printable ASCII but `%` stands for itself.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// How a call ended, where it did not end well.
#[derive(Debug)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What is said to people, and when to try again.
    pub error: Error,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self {
            code: code(error.kind),
            error,
        }
    }
}

/// The metadata of success.
pub fn success() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    trailers
}

impl Status {
    /// The status with another error; one of another kind has its own code.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Error) -> Error) -> Self {
        let kind = self.error.kind;
        let error = change(self.error);
        let code = if error.kind == kind {
            self.code
        } else {
            code(error.kind)
        };
        Self { code, error }
    }

    /// Adds this status to metadata.
    pub fn write(&self, metadata: &mut HeaderMap) {
        metadata.insert(STATUS, HeaderValue::from(u16::from(self.code.number())));
        let message = utf8_percent_encode(&self.error.message, ESCAPED).to_string();
        if let Ok(message) = HeaderValue::try_from(message) {
            metadata.insert(MESSAGE, message);
        }
        if let Some(time) = self.error.retry_after {
            // Rounded up: a client that comes a moment too soon is refused again.
            let millis = time.as_nanos().div_ceil(1_000_000);
            let millis = u64::try_from(millis).unwrap_or(u64::MAX);
            metadata.insert(PUSHBACK, HeaderValue::from(millis));
        }
        if self.error.kind == ErrorKind::Unsupported {
            metadata.insert(ACCEPT_ENCODING, CODINGS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_status_is_metadata_whatever_its_message_says() {
        let error = Error::new(ErrorKind::Overloaded, "50 % \"grün\"\nvoll")
            .retry_after(Duration::from_millis(1500));
        let mut metadata = HeaderMap::new();
        Status::from(error).write(&mut metadata);
        assert_eq!(metadata["grpc-status"], "14");
        assert_eq!(metadata["grpc-message"], "50 %25 \"gr%C3%BCn\"%0Avoll");
        assert_eq!(metadata["grpc-retry-pushback-ms"], "1500");
        assert_eq!(success()["grpc-status"], "0");
    }
}
