"""Posting JSON to a channel: bounded in time and bytes, no redirects, nothing secret in errors."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tidegate import _core
from tidegate.errors import ConfigurationError, TidegateError

__all__ = ["ChannelError", "Post", "address", "post", "secret"]

MOST_REPLY_BYTES: Final = 64 * 1024
LONGEST_RETRY_SECONDS: Final = 600.0

AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a message is sent again."""


class ChannelError(TidegateError):
    """A channel did not take a message.

    Attributes:
        again: Whether another attempt may help.
        after: Seconds that the receiver asks to wait before it.
    """

    def __init__(self, message: str, *, again: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.after = after


@dataclass(frozen=True, slots=True)
class Post:
    """One request. The address and the headers may be secret, so that neither is ever shown.

    Attributes:
        url: Whole address.
        body: JSON.
        headers: Beside the content's type.
    """

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def secret(text: str, place: str) -> str:
    """A setting that may be secret: as it is, or from `env:NAME` or `file:PATH`.

    Args:
        text: What the settings say.
        place: Where, for the error, which never has the text.

    Raises:
        ConfigurationError: If the variable or the file is not there.

    Example:
        >>> secret("https://hooks.example.com/x", "channel 'ops'")
        'https://hooks.example.com/x'
    """
    scheme, _, rest = text.partition(":")
    if scheme == "env":
        found = os.environ.get(rest, "")
        if not found:
            raise ConfigurationError(
                f"{place}: the environment has no variable {rest}: set it, or change the channel"
            )
        return found.strip()
    if scheme == "file":
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{place}: {rest} cannot be read ({type(error).__name__}): change the channel"
            ) from None
    return text


def address(text: str, place: str) -> str:
    """An address that can be posted to.

    Args:
        text: What the settings say, resolved.
        place: Where, for the error, which never has the text.

    Raises:
        ConfigurationError: If it is none.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable():
        raise ConfigurationError(f"{place}: its address is none of http or https: change it")
    return text


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is secret would be told to others."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_Stay)


def post(message: Post, *, timeout: float) -> bytes:
    """Sends one request.

    Args:
        message: What to send.
        timeout: Seconds.

    Returns:
        The beginning of the answer.

    Raises:
        ChannelError: If it was not taken; the message names the host and nothing more of the
            address.
    """
    host = urlsplit(message.url).hostname
    headers = {
        "content-type": "application/json",
        "user-agent": f"tidegate/{_core.__version__}",
        **message.headers,
    }
    request = urllib.request.Request(message.url, message.body, headers, method="POST")
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            found: bytes = reply.read(MOST_REPLY_BYTES)
            return found
    except urllib.error.HTTPError as error:
        with error:
            after = _seconds(error.headers.get("retry-after"))
        raise ChannelError(
            f"{host} answers {error.code}", again=error.code in AGAIN, after=after
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        # What other errors say may hold the address.
        said = getattr(reason, "strerror", None) or type(reason).__name__
        raise ChannelError(f"{host} cannot be reached ({said})", again=True) from None


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text or ""), 0.0), LONGEST_RETRY_SECONDS)
    except ValueError:
        return None
