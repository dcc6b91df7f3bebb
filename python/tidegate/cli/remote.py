"""Calls of a running server: JSON there and back, and its errors as tidegate's own."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, Final

import orjson
import typer

from tidegate.errors import (
    BackendError,
    ConflictError,
    DeadlineError,
    ForbiddenError,
    InputError,
    NotFoundError,
    NotReadyError,
    StorageError,
    TidegateError,
    TooLargeError,
    UnauthenticatedError,
    UnsupportedError,
)

__all__ = ["KEY_VARIABLE", "UrlOption", "call", "text_of"]

UrlOption: Final = typer.Option("--url", envvar="TIDEGATE_URL", help="The server's address.")
"""`--url`, the same in every command that asks a server."""

KEY_VARIABLE: Final = "TIDEGATE_API_KEY"
"""The environment variable with the key or token that calls are made with."""

SECONDS: Final = 30.0
"""How long one call may take unless more is said."""

_BY_STATUS: Final[dict[int, type[TidegateError]]] = {
    HTTPStatus.BAD_REQUEST: InputError,
    HTTPStatus.UNAUTHORIZED: UnauthenticatedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLargeError,
    HTTPStatus.NOT_IMPLEMENTED: UnsupportedError,
    HTTPStatus.SERVICE_UNAVAILABLE: NotReadyError,
    HTTPStatus.GATEWAY_TIMEOUT: DeadlineError,
}


def call(url: str, *, method: str = "GET", body: object = None, seconds: float = SECONDS) -> Any:
    """Sends one request and reads the JSON that comes back.

    Args:
        url: The whole address; `http://` is added if it names no scheme.
        method: The HTTP method.
        body: Sent as JSON; nothing is sent for `None`.
        seconds: How long it may take.

    Returns:
        The decoded answer; `None` for an empty one.

    Raises:
        TidegateError: What the server said, as the class of its status.
        StorageError: Nothing listens there, or it speaks no JSON.
    """
    content, address = _answered(url, method, body, seconds)
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise StorageError(
            f"{address} answers, but not in JSON: is it a tidegate server?"
        ) from None


def text_of(url: str) -> str:
    """Reads a text, such as the page of metrics.

    Args:
        url: The whole address; `http://` is added if it names no scheme.

    Raises:
        TidegateError: What the server said, as the class of its status.
        StorageError: Nothing listens there.
    """
    return _answered(url, "GET", None, SECONDS)[0].decode("utf-8", errors="replace")


def _answered(url: str, method: str, body: object, seconds: float) -> tuple[bytes, str]:
    address = url if "://" in url else f"http://{url}"
    if not address.startswith(("http://", "https://")):
        raise InputError(f"{url} is no address of a server: name it as http://host:port")
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        address,
        method=method,
        data=None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY),
        headers=headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            content: bytes = reply.read()
    except urllib.error.HTTPError as error:
        with error:
            raise _said(error.code, error.read(), address) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StorageError(
            f"no server answers at {address} ({reason}): start one with tidegate serve"
        ) from None
    return content, address


def _said(status: int, content: bytes, address: str) -> TidegateError:
    kind = _BY_STATUS.get(status, BackendError)
    try:
        said = orjson.loads(content)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = f"{address} answered with status {status}"
    return kind(str(said))
