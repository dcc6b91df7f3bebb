"""The contract of a store: objects are created once, under a key that was free, and never changed.

This one operation is enough for several writers to agree without a lock or a database: of two that
create the same key exactly one succeeds, and the other reads what the first one wrote.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Final

from tidegate.errors import (
    AlreadyExistsError,
    InputError,
    NotFoundError,
    StorageError,
    TooLargeError,
)

__all__ = ["AmbiguousWriteError", "Store", "check_key"]

MAX_KEY_CHARACTERS: Final = 1_024
"""Longest key; the limit of S3, which is the smallest among the object stores."""

MAX_OBJECT_BYTES: Final = 1 << 30
"""Most bytes that `Store.get` reads into memory unless told otherwise."""

MAX_ATTEMPTS: Final = 4
"""Puts of one object, counting the first, while its outcome stays unknown."""

FIRST_PAUSE_SECONDS: Final = 0.05
"""Pause before the second put; it doubles with each further one."""

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_+=@-][A-Za-z0-9._+=@-]*\Z", re.ASCII)


class AmbiguousWriteError(StorageError):
    """The connection failed during a put: the object may or may not have been written."""


def check_key(key: str) -> str:
    """The key itself, if it can stand in every kind of store.

    Keys are segments of letters, digits and `._+=@-`, joined by single slashes. No segment starts
    with a dot, so that a key can never leave its folder and never names a private file.

    Args:
        key: such as `models/flight-delay/versions/1.0.0.json`.

    Raises:
        InputError: the key is empty, too long, or has a segment with other characters.

    Example:
        >>> check_key("models/flight-delay")
        'models/flight-delay'
        >>> check_key("models/../secrets")
        Traceback (most recent call last):
            ...
        tidegate.errors.InputError: key 'models/../secrets' has the segment '..': use letters, ...
    """
    if not key or len(key) > MAX_KEY_CHARACTERS:
        raise InputError(
            f"key {key[:40]!r} has {len(key)} characters: use 1 to {MAX_KEY_CHARACTERS}"
        )
    for segment in key.split("/"):
        if not _SEGMENT.match(segment):
            raise InputError(
                f"key {key!r} has the segment {segment!r}: use letters, digits and ._+=@- "
                "and do not start with a dot"
            )
    return key


class Store(ABC):
    """Objects under keys, each created once.

    A writer that must know whether *it* created an object puts a nonce of its own into the bytes:
    after an error that leaves the outcome open, and after a refusal that may be the echo of an
    attempt that did arrive, `create` reads the object again and compares. Equal bytes mean that
    the object is there as wanted, which counts as success.

    Attributes:
        location: where the store is, as the user wrote it; for messages.
    """

    location: str

    def create(self, key: str, data: bytes) -> None:
        """Creates an object, durably, or fails without a trace.

        Args:
            key: a free key, see `check_key`.
            data: all of its bytes; with a nonce in it if the writer must know that it won.

        Raises:
            AlreadyExistsError: the key holds other bytes.
            AmbiguousWriteError: the store cannot be reached, and the object may exist or not.
            StorageError: the store is read-only, full, or refuses.
        """
        self._settle(check_key(key), data)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> bytes:
        """All bytes of an object.

        Args:
            key: an existing key.
            limit: most bytes to accept.

        Raises:
            NotFoundError: there is no such object.
            TooLargeError: it has more bytes than the limit.
            StorageError: the store cannot be read.
        """
        data = self._get(check_key(key), limit)
        if data is None:
            raise NotFoundError(f"{self.location} has no object {key!r}")
        if len(data) > limit:
            raise TooLargeError(
                f"object {key!r} of {self.location} exceeds the limit of {limit} bytes"
            )
        return data

    def probe(self) -> bool:
        """Proves that the store refuses a second create of one key.

        Returns:
            True if it does; False if nothing can be written here, which harms nobody.

        Raises:
            StorageError: it accepts the second create, so that writers would overwrite each other.
        """
        key = f"probe/{uuid.uuid4().hex}"
        try:
            self._create(key, b"first")
        except StorageError:
            return False
        try:
            self._create(key, b"second")
        except AlreadyExistsError:
            return True
        finally:
            with suppress(StorageError):
                self.delete(key)
        raise StorageError(
            f"{self.location} accepts a second create of one key, so that two publishers would "
            "overwrite each other: use a store with conditional puts (If-None-Match)"
        )

    @abstractmethod
    def keys(self, prefix: str = "") -> list[str]:
        """Every key under a prefix that ends at a slash or is empty, in order."""

    @abstractmethod
    def children(self, prefix: str = "") -> list[str]:
        """The next segment of every key under a prefix, each once, in order."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Is there an object under this key?"""

    @abstractmethod
    def fetch(self, key: str, path: Path) -> None:
        """Writes an object into a new local file; raises `NotFoundError` if there is none."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Removes an object if it is there: for leftovers only, never for what was committed."""

    @abstractmethod
    def digest(self, key: str) -> str | None:
        """The hexadecimal sha256 of an object, or None if there is none."""

    def local(self, prefix: str) -> Path | None:
        """The folder that holds the objects under a prefix, where the store is a folder."""
        del prefix
        return None

    @abstractmethod
    def _create(self, key: str, data: bytes) -> None:
        """One attempt: `AlreadyExistsError`, `AmbiguousWriteError` or `StorageError` if it fails."""

    @abstractmethod
    def _get(self, key: str, limit: int) -> bytes | None:
        """The bytes of an object, or more than `limit` of them, or None if there is none."""

    def _settle(self, key: str, data: bytes) -> None:
        """Puts until the outcome is known."""
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                self._create(key, data)
            except AlreadyExistsError:
                if self.digest(key) == hashlib.sha256(data).hexdigest():
                    return
                raise
            except AmbiguousWriteError:
                if attempt == MAX_ATTEMPTS:
                    raise
                time.sleep(pause)
                pause *= 2
            else:
                return
