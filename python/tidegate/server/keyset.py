"""JSON Web Key Sets: from a file, or fetched from an address."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tidegate.errors import ConfigurationError, StorageError

__all__ = ["fetch", "is_address"]

SECONDS: Final = 10.0
"""How long a fetch may take before it moves."""

MOST_BYTES: Final = 1024 * 1024
"""Largest set that is taken."""


def is_address(place: str) -> bool:
    """Whether a set is to be fetched, rather than read from a file.

    Args:
        place: What the setting says.

    Example:
        >>> is_address("https://login.example.org/jwks.json"), is_address("keys/jwks.json")
        (True, False)
    """
    return "://" in place


def fetch(place: str) -> str:
    """The text of a set.

    Args:
        place: A file, or an address with `https`; `http` on this machine only, since whoever
            could change it on its way could sign tokens.

    Raises:
        ConfigurationError: If the address is of another kind.
        StorageError: If it cannot be read.
    """
    if not is_address(place):
        try:
            return Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"the key set {place} cannot be read ({error}): check access.jwks"
            ) from error
    parts = urlsplit(place)
    if parts.scheme != "https" and not (parts.scheme == "http" and _local(parts.hostname or "")):
        raise ConfigurationError(
            f"the key set {place} must be fetched with https: change access.jwks"
        )
    try:
        with urllib.request.urlopen(place, timeout=SECONDS) as reply:
            data: bytes = reply.read(MOST_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StorageError(
            f"the key set {place} cannot be fetched ({error}): check access.jwks"
        ) from error
    if len(data) > MOST_BYTES:
        raise StorageError(
            f"the key set {place} holds more than {MOST_BYTES} bytes: check access.jwks"
        )
    return data.decode("utf-8", errors="replace")


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
