//! The one error of the core: a kind that decides the protocol status and the Python exception,
//! and a message that names the thing and the mend.

use std::fmt;
use std::time::Duration;

/// What went wrong, in the terms that a caller can act on.
///
/// Matched exhaustively in two places only: where Python exceptions and where protocol statuses
/// are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller's data is wrong: a type, a shape, a missing or unknown column, malformed bytes.
    InvalidInput,
    /// A model, version, bundle or alias that does not exist.
    NotFound,
    /// A thing that may be created once exists already.
    AlreadyExists,
    /// The input exceeds a named limit.
    TooLarge,
    /// Valid, but not something this build can do.
    Unsupported,
    /// Who asks could not be established: no key or token, or one that is not valid.
    Unauthenticated,
    /// Who asks is known and may not do this.
    Forbidden,
    /// The caller has used up its own allowance: try again later.
    RateLimited,
    /// The queue is full: try again later.
    Overloaded,
    /// The answer could not be ready in time.
    Deadline,
    /// Known, but not ready to serve.
    NotReady,
    /// The caller gave up.
    Cancelled,
    /// Bytes do not match their digest, or a bundle does not reproduce its own outputs.
    Integrity,
    /// Serialised state that cannot be read: truncated, edited, or of a future version.
    State,
    /// The model itself failed.
    Backend,
    /// The runtime is closed, or was inherited through `fork`.
    Closed,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// Every kind, for the tables and tests that must name each one.
    pub const ALL: [Self; 17] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::TooLarge,
        Self::Unsupported,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::Overloaded,
        Self::Deadline,
        Self::NotReady,
        Self::Cancelled,
        Self::Integrity,
        Self::State,
        Self::Backend,
        Self::Closed,
        Self::Internal,
    ];

    /// The name used in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline",
            Self::NotReady => "not_ready",
            Self::Cancelled => "cancelled",
            Self::Integrity => "integrity",
            Self::State => "state",
            Self::Backend => "backend",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

/// An error of the core: one sentence that says what is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// One sentence for people.
    pub message: String,
    /// When it makes sense to try again, where that is known.
    pub retry_after: Option<Duration>,
    /// The column that has a value of a wrong type, where that is what is wrong.
    pub mistyped: Option<Box<str>>,
}

/// A result of the core.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            mistyped: None,
        }
    }

    /// Says which column has a value of a wrong type.
    #[must_use]
    pub fn mistyped(mut self, column: &str) -> Self {
        self.mistyped = Some(column.into());
        self
    }

    /// The caller's data is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Something named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Serialised state cannot be read.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// A bug of ours: say what was broken.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same error with the time after which to try again.
    #[must_use]
    pub const fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// The same error with a place put before its message, as in `column "age": …`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
