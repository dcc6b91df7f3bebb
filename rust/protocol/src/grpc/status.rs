//! Which status of gRPC an error has.

use tidegate_schema::ErrorKind;

/// A status of gRPC that this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// Every one, for the tables and tests that must name each.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Cancelled,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::Unauthenticated,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// The status of a kind of error. Too much in one request is the caller's mistake and not a
/// resource to wait for, so it is `INVALID_ARGUMENT`: clients retry `RESOURCE_EXHAUSTED`.
#[must_use]
pub const fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::TooLarge => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::RateLimited => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Overloaded | ErrorKind::NotReady | ErrorKind::Closed => Code::Unavailable,
        ErrorKind::Deadline => Code::DeadlineExceeded,
        ErrorKind::Integrity | ErrorKind::State | ErrorKind::Backend | ErrorKind::Internal => {
            Code::Internal
        }
    }
}

/// The status for an answer of the control plane, which speaks HTTP: the kind of error that has
/// this HTTP status decides.
#[must_use]
pub fn code_of_http(status: u16) -> Code {
    if (200..300).contains(&status) {
        return Code::Ok;
    }
    let kind = ErrorKind::ALL
        .into_iter()
        .find(|kind| crate::status(*kind) == status);
    match kind {
        Some(kind) => code(kind),
        None if (400..500).contains(&status) => Code::InvalidArgument,
        None if status == 502 => Code::Unavailable,
        None => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_error_is_the_callers_over_http_and_over_grpc() {
        for kind in ErrorKind::ALL {
            let code = code(kind);
            assert_ne!(code, Code::Ok, "{kind:?}");
            if crate::status(kind) < 500 {
                assert!(
                    !matches!(code, Code::Internal | Code::Unavailable),
                    "{kind:?}"
                );
                assert_eq!(code_of_http(crate::status(kind)), code, "{kind:?}");
            }
        }
        assert_eq!(code_of_http(503), Code::Unavailable);
        assert_eq!(code_of_http(502), Code::Unavailable);
        assert_eq!(code_of_http(204), Code::Ok);
        assert_eq!(code_of_http(418), Code::InvalidArgument);
    }

    #[test]
    fn numbers_are_in_order_and_named() {
        let numbers: Vec<u8> = Code::ALL.iter().map(|code| code.number()).collect();
        assert!(numbers.is_sorted());
        assert_eq!(Code::Unavailable.number(), 14);
        assert!(Code::ALL.iter().all(|code| !code.name().is_empty()));
    }
}
