//! What can go wrong in a summary: little, so the crate keeps its own small error and stays free
//! of dependencies. Crates above turn the kind into the shared error.

use std::fmt;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument is outside what the summary accepts.
    Argument,
    /// The summary would grow past a named limit.
    Limit,
    /// Serialised state cannot be read: truncated, edited, or of a future version.
    State,
}

/// An error of a summary: one sentence that says what is wrong and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// One sentence for people.
    pub message: String,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Argument,
            message: message.into(),
        }
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Limit,
            message: message.into(),
        }
    }

    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::State,
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
