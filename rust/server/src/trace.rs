//! What names a request: in its answer, in the logs, and across services.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_runtime::Ids;

/// Names a request; echoed where a caller sends a sane one.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context that a caller runs in.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest request id that is echoed.
const LONGEST_ID: usize = 128;

/// The names of one request.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The request's id, as it is sent back.
    pub id: HeaderValue,
}

impl Trace {
    /// The caller's id if it has a sane one, else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap, ids: &Ids) -> Self {
        let given = headers.get(&REQUEST_ID).filter(|id| sane(id.as_bytes()));
        let id = given.cloned().unwrap_or_else(|| {
            // Hexadecimal digits are always a header's value.
            HeaderValue::try_from(ids.next()).unwrap_or_else(|_| HeaderValue::from_static("none"))
        });
        Self { id }
    }

    /// The id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }
}

/// An id that may go into a log and a header as it is.
fn sane(id: &[u8]) -> bool {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(safe)
}

/// The trace id of a valid `traceparent` (W3C Trace Context, level 1): 32 hexadecimal digits.
#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(&TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let valid = hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && !zero(trace)
        && hex(parent, 16)
        && !zero(parent)
        && hex(flags, 2)
        // A later version may say more, this one may not.
        && (version != "00" || parts.next().is_none());
    valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        let ids = Ids::new();
        for id in ["a", "7f3c:9.x/y+z=@-_", &"x".repeat(128)] {
            assert_eq!(Trace::of(&headers(REQUEST_ID, id), &ids).id(), id);
        }
        for id in ["", "a b", "a\"b", "a;b", &"x".repeat(129)] {
            let made = Trace::of(&headers(REQUEST_ID, id), &ids);
            assert!(made.id() != id && made.id().len() >= 24, "{id:?}");
        }
    }

    #[test]
    fn trace_ids_come_from_valid_contexts_only() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for text in [
            format!("00-{trace}-00f067aa0ba902b7-01"),
            format!("01-{trace}-00f067aa0ba902b7-01-more"),
        ] {
            assert_eq!(
                trace_id(&headers(TRACEPARENT, &text)),
                Some(trace),
                "{text}"
            );
        }
        for text in [
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            "00".to_owned(),
            "nonsense".to_owned(),
        ] {
            assert_eq!(trace_id(&headers(TRACEPARENT, &text)), None, "{text}");
        }
    }
}
