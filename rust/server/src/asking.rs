//! What is known of a request before its body: by what its version is chosen; and how its answer names that.

use std::borrow::Cow;
use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_runtime::{Clues, Routed};

use crate::access::Caller;

/// The version that answers.
const VERSION: HeaderName = HeaderName::from_static("x-tidegate-version");
/// The revision that the request is routed by.
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

/// Which version answers a request, from when it is chosen: whatever comes of the request then, a refusal
/// and a failure too, its answer names version and revision.
#[derive(Debug, Default)]
pub struct Named(RefCell<Option<Chosen>>);

/// What a request was routed to.
#[derive(Debug)]
struct Chosen {
    routed: Routed,
    /// A column decides that has not been read: only the revision is known.
    open: bool,
}

impl Named {
    /// Says what a request is routed to; `open` while a column is to decide.
    pub fn chosen(&self, routed: &Routed, open: bool) {
        self.0.replace(Some(Chosen {
            routed: routed.clone(),
            open,
        }));
    }

    /// The version, where it is chosen, and the revision.
    pub fn version_and_revision(&self) -> Option<(Option<String>, u64)> {
        let chosen = self.0.borrow();
        let Chosen { routed, open } = chosen.as_ref()?;
        let version = (!open).then(|| routed.model().version().to_owned());
        Some((version, routed.revision()))
    }

    /// Names both in the headers of an answer. Proxies and load tests read no bodies; but what is good and of
    /// a deployment of one version has nothing to tell apart and says it in its body only.
    pub fn mark(&self, headers: &mut HeaderMap, failed: bool) {
        let chosen = self.0.borrow();
        let Some(Chosen { routed, open }) = chosen.as_ref() else {
            return;
        };
        if !failed && routed.arm().revision.plan.arms.len() < 2 {
            return;
        }
        if !*open && let Ok(version) = HeaderValue::from_str(routed.model().version()) {
            headers.insert(VERSION, version);
        }
        headers.insert(REVISION, HeaderValue::from(routed.revision()));
    }
}
