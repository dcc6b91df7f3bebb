"""The exception tree: one class for each kind of failure that a caller can act on.

Every error of tidegate derives from `TidegateError`, so one `except` is enough for all of them.
Where Python has a class of its own for the situation, the error derives from that class too:
`except ValueError` catches bad input, `except LookupError` a name that does not exist. The classes
know no protocol: which HTTP status an error becomes is decided where answers are written.

The extension raises these classes by the names in `KINDS`. A kind that is missing there would
surface as an import error of the extension's, so a test walks the table.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "KINDS",
    "AlreadyExistsError",
    "BackendError",
    "CancelledError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "DataError",
    "DeadlineError",
    "ExportError",
    "ForbiddenError",
    "InputError",
    "IntegrityError",
    "InternalError",
    "MissingDependencyError",
    "NotFoundError",
    "NotReadyError",
    "OverloadedError",
    "RateLimitedError",
    "StateError",
    "StorageError",
    "TidegateError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnsupportedError",
]


class TidegateError(Exception):
    """Any error of tidegate; its message is one sentence with what is wrong, where and the mend."""


class InputError(TidegateError, ValueError):
    """The caller's data is wrong: a type, a shape, a missing or unknown column, malformed bytes."""


class NotFoundError(TidegateError, LookupError):
    """A model, version, bundle, alias or object that does not exist."""


class AlreadyExistsError(TidegateError):
    """A thing that can be created once exists already, such as a published version."""


class TooLargeError(InputError):
    """The input exceeds a named limit."""


class UnsupportedError(TidegateError):
    """Valid, but not something that this build can do."""


class UnauthenticatedError(TidegateError):
    """Who asks could not be established: no key or token, or one that is not valid."""


class ForbiddenError(TidegateError, PermissionError):
    """Who asks is known and may not do this."""


class RateLimitedError(TidegateError):
    """The caller has used up its own allowance: try again later."""


class OverloadedError(TidegateError):
    """The queue is full: try again later."""


class DeadlineError(TidegateError, TimeoutError):
    """The answer could not be ready in time."""


class NotReadyError(TidegateError):
    """Known, but not ready to serve."""


class CancelledError(TidegateError):
    """The caller gave the work up before it was done."""


class IntegrityError(TidegateError):
    """Bytes differ from their digest, or a bundle does not reproduce its own outputs."""


class StateError(TidegateError, ValueError):
    """Stored state cannot be read: truncated, edited, or written by a later version."""


class BackendError(TidegateError):
    """The model itself failed."""


class ClosedError(TidegateError):
    """The runtime is closed, or was inherited through a fork."""


class InternalError(TidegateError):
    """A bug of tidegate's own."""


class MissingDependencyError(TidegateError, ImportError):
    """An optional package is absent; the message names the command that installs it."""


class StorageError(TidegateError, OSError):
    """A folder or object store cannot be read or written: read-only, full, or out of reach."""


class ConfigurationError(TidegateError, ValueError):
    """A setting is unknown, contradictory or out of its range."""


class ConflictError(TidegateError):
    """A command does not fit what stands by now: somebody was first, or it is over already."""


class DataError(TidegateError, ValueError):
    """Data was held against rules and did not pass.

    Attributes:
        report: the report that says what is wrong, of `tidegate.validation`.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class ExportError(TidegateError):
    """A model cannot be expressed as ONNX, or its ONNX form does not agree with the original."""


KINDS: Final[dict[str, type[TidegateError]]] = {
    "invalid_input": InputError,
    "not_found": NotFoundError,
    "already_exists": AlreadyExistsError,
    "too_large": TooLargeError,
    "unsupported": UnsupportedError,
    "unauthenticated": UnauthenticatedError,
    "forbidden": ForbiddenError,
    "rate_limited": RateLimitedError,
    "overloaded": OverloadedError,
    "deadline": DeadlineError,
    "not_ready": NotReadyError,
    "cancelled": CancelledError,
    "integrity": IntegrityError,
    "state": StateError,
    "backend": BackendError,
    "closed": ClosedError,
    "internal": InternalError,
}
"""The class for each kind of the core's errors, by the kind's name."""
