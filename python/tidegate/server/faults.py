"""Errors of the control plane as answers: the same shape as the data plane's."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from tidegate import _core
from tidegate.errors import (
    KINDS,
    ConfigurationError,
    ConflictError,
    ExportError,
    MissingDependencyError,
    StorageError,
    TidegateError,
)

__all__ = ["HANDLERS", "STATUSES", "status_of"]


def _statuses() -> dict[type[TidegateError], int]:
    core = _core.http_statuses()
    return {
        **{KINDS[kind]: status for kind, status in core.items()},
        # These are Python's own and have no kind in the core.
        ConfigurationError: HTTPStatus.BAD_REQUEST,
        ConflictError: HTTPStatus.CONFLICT,
        ExportError: HTTPStatus.UNPROCESSABLE_ENTITY,
        MissingDependencyError: HTTPStatus.NOT_IMPLEMENTED,
        StorageError: HTTPStatus.SERVICE_UNAVAILABLE,
    }


STATUSES: Final = _statuses()
"""The HTTP status of each class of error; the core's kinds have the core's statuses."""


def status_of(error: TidegateError) -> int:
    """The HTTP status of an error: that of its class, or of the nearest class above it."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return int(STATUSES[kind])
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", "1")
    return JSONResponse({"error": message}, status_code=status, headers=headers)


async def _of_tidegate(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, TidegateError)
    return _answer(status_of(error), str(error))


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = f"nothing is served at {request.url.path!r}: see /docs for the routes"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another")
        message = f"{request.method} is not a method of {request.url.path}: use {allowed}"
    return _answer(error.status_code, message, dict(error.headers or {}))


async def _of_bug(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, so it is in the log with its traceback.
    del request, error
    return _answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "a bug in the control plane, please report it: see the log",
    )


HANDLERS: Final = {
    TidegateError: _of_tidegate,
    HTTPException: _of_http,
    Exception: _of_bug,
}
"""Starlette's exception handlers of the control plane."""
