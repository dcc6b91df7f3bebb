//! What names a request: in its answer, in the logs, and across services.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_runtime::Ids;

/// Names a request; echoed where a caller sends a sane one.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context that a caller runs in.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
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
            HeaderValue::try_from(ids.next().text())
                .unwrap_or_else(|_| HeaderValue::from_static("none"))
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

/// The span of a caller that a request runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The trace's id: 32 hexadecimal digits.
    pub trace: &'a str,
    /// The caller's span: 16 hexadecimal digits.
    pub span: &'a str,
    /// Does the caller record its span?
    pub sampled: bool,
}

impl<'a> Parent<'a> {
    /// What a valid `traceparent` says (W3C Trace Context, level 1).
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let text = headers.get(&TRACEPARENT)?.to_str().ok()?;
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, digits: usize| {
            part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let valid = hex(version, 2)
            && version != "ff"
            && hex(trace, 32)
            && !zero(trace)
            && hex(span, 16)
            && !zero(span)
            && hex(flags, 2)
            // A later version may say more, this one may not.
            && (version != "00" || parts.next().is_none());
        let flags = u8::from_str_radix(flags, 16).ok()?;
        valid.then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
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
    fn parents_come_from_valid_contexts_only() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (text, sampled) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("00-{trace}-{span}-00"), false),
            (format!("00-{trace}-{span}-fe"), false),
            (format!("01-{trace}-{span}-03-more"), true),
        ] {
            let due = Parent {
                trace,
                span,
                sampled,
            };
            let headers = headers(TRACEPARENT, &text);
            assert_eq!(Parent::of(&headers), Some(due), "{text}");
        }
        for text in [
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            "00".to_owned(),
            "nonsense".to_owned(),
        ] {
            assert_eq!(Parent::of(&headers(TRACEPARENT, &text)), None, "{text}");
        }
    }
}
