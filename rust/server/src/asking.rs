//! What is known of a request before its body: by what its version is chosen.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_runtime::{Answer, Clues};

use crate::access::Caller;

/// The version that answered, on answers of deployments with several.
const VERSION: HeaderName = HeaderName::from_static("x-tidegate-version");
/// The revision that the request was routed by, on the same answers.
const REVISION: HeaderName = HeaderName::from_static("x-tidegate-revision");

/// A request whose body is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Its headers, or the metadata of its call.
    pub headers: &'a HeaderMap,
    /// Who asks, where callers have to say so.
    pub caller: Option<&'a Caller>,
    /// Its id.
    pub id: &'a HeaderValue,
    /// Which message of its call it is, where a call has several: each is a request.
    pub message: Option<u64>,
}

impl Clues for Asking<'_> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.caller?.claim(name)
    }

    fn id(&self) -> Cow<'_, [u8]> {
        let id = self.id.as_bytes();
        match self.message {
            None => Cow::Borrowed(id),
            Some(number) => Cow::Owned([id, format!("/{number}").as_bytes()].concat()),
        }
    }
}

/// Says in the headers of an answer which version and revision it is of, where several share the
/// traffic: proxies and load tests read no bodies.
pub fn mark(headers: &mut HeaderMap, answer: &Answer) {
    let Some(routed) = &answer.routed else { return };
    if routed.arm().revision.plan.arms.len() < 2 {
        return;
    }
    if let Ok(version) = HeaderValue::from_str(answer.model.version()) {
        headers.insert(VERSION, version);
    }
    headers.insert(REVISION, HeaderValue::from(answer.revision()));
}
