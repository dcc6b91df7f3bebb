//! What is known of a request before its rows are read.

use std::borrow::Cow;

use crate::id::Ids;

/// What is known of a request before its rows are read. Asked only by plans that choose.
pub trait Clues {
    /// The first header, or metadata of gRPC, of a name in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// A claim of the caller's token.
    fn claim(&self, name: &str) -> Option<&str>;

    /// The request's id.
    fn id(&self) -> Cow<'_, [u8]>;

    /// A key that the caller says by hand; goes before the one of the plan.
    fn key(&self) -> Option<&[u8]> {
        None
    }
}

/// A call inside of a process: nothing is known but a key, if the caller says one.
#[derive(Clone, Copy, Debug)]
pub struct Direct<'a> {
    ids: &'a Ids,
    key: Option<&'a str>,
}

impl<'a> Direct<'a> {
    /// A call with this key.
    #[must_use]
    pub const fn new(ids: &'a Ids, key: Option<&'a str>) -> Self {
        Self { ids, key }
    }
}

impl Clues for Direct<'_> {
    fn header(&self, _name: &str) -> Option<&[u8]> {
        None
    }

    fn claim(&self, _name: &str) -> Option<&str> {
        None
    }

    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.ids.next().text().into_bytes())
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.map(str::as_bytes)
    }
}
