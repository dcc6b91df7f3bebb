"""Which replicas are alive: each says so in the store, twice a minute."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from tidegate.errors import StateError, StorageError, TidegateError
from tidegate.storage import Store
from tidegate.storage.canonical import decode, encode

__all__ = ["BEAT_SECONDS", "DEAD_SECONDS", "Presence", "replica_name"]

BEAT_SECONDS: Final = 30.0
"""How often a replica says that it is alive."""

DEAD_SECONDS: Final = 120.0
"""When one that has said nothing is taken for gone, and others take over what it held."""

INHERITED_SECONDS: Final = 900.0
"""How old a sign of life may be whose pending alerts are taken over."""

SWEPT_SECONDS: Final = 86_400.0

_BEAT: Final = re.compile(r"(.+)@(\d{15})(\.left)?\.json\Z")


def replica_name() -> str:
    """A name for this process that no other has had."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "replica"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Presence:
    """Signs of life in a store: those of this replica, and of the others.

    Args:
        store: Where they are.
        replica: This one's name.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> presence = Presence(FolderStore(tempfile.mkdtemp()), "a")
        >>> presence.beat(100.0, {})
        >>> presence.alive(110.0), presence.alive(500.0)
        ({'a'}, set())
    """

    def __init__(self, store: Store, replica: str) -> None:
        self._store = store
        self._replica = replica
        self._mine: str | None = None
        self._beaten = float("-inf")

    def beat(self, now: float, pending: Mapping[str, float]) -> None:
        """Says that this replica is alive, if it is time.

        Args:
            now: Seconds since 1970.
            pending: Since when alerts are pending here, for whoever takes over.

        Raises:
            StorageError: If the store refuses.
        """
        if now - self._beaten < BEAT_SECONDS:
            return
        key = f"replicas/{self._replica}@{round(now * 1000):015}.json"
        self._store.create(key, encode({"pending": dict(pending), "version": 1}))
        before, self._mine, self._beaten = self._mine, key, now
        if before is not None and before != key:
            self._store.delete(before)

    def _beats(self) -> dict[str, tuple[float, str]]:
        """The newest sign of each replica: when, and its name."""
        found: dict[str, tuple[float, str]] = {}
        for name in self._store.children("replicas"):
            match = _BEAT.fullmatch(name)
            if match:
                found[match[1]] = max(found.get(match[1], (0.0, "")), (int(match[2]) / 1000, name))
        return found

    def alive(self, now: float) -> set[str]:
        """The replicas that have said so lately.

        Raises:
            StorageError: If the store cannot be read.
        """
        return {replica for replica, sign in self._beats().items() if _lives(sign, now)}

    def inherited(self, now: float, *, young: bool) -> dict[str, float]:
        """Since when alerts were pending on replicas that are gone; and removes old signs of life.

        Args:
            now: Seconds since 1970.
            young: Whether this replica began just now. Only such a one inherits, and what it has
                inherited nobody else does.

        Raises:
            StorageError: If the store cannot be read.
        """
        found: dict[str, float] = {}
        for replica, (at, name) in self._beats().items():
            if replica == self._replica or _lives((at, name), now):
                continue
            if now - at > SWEPT_SECONDS:
                self._store.delete(f"replicas/{name}")
            elif young and now - at < INHERITED_SECONDS:
                for alert, since in self._pending(name).items():
                    found[alert] = min(found.get(alert, since), since)
                self._store.delete(f"replicas/{name}")
        return found

    def _pending(self, name: str) -> dict[str, float]:
        try:
            body: dict[str, Any] = decode(
                self._store.get(f"replicas/{name}"),
                f"object 'replicas/{name}'",
                keys={"pending", "version"},
                newest=1,
            )
        except TidegateError as error:
            if isinstance(error, StorageError) and not isinstance(error, StateError):
                raise
            return {}
        return {str(alert): float(since) for alert, since in body["pending"].items()}

    def leave(self, now: float, pending: Mapping[str, float]) -> None:
        """Says that this replica ends, so that others need not wait to take over.

        Args:
            now: Seconds since 1970.
            pending: Since when alerts are pending here.
        """
        if self._mine is not None:
            key = f"replicas/{self._replica}@{round(now * 1000):015}.left.json"
            with suppress(TidegateError):
                self._store.create(key, encode({"pending": dict(pending), "version": 1}))
                self._store.delete(self._mine)
            self._mine = None


def _lives(sign: tuple[float, str], now: float) -> bool:
    at, name = sign
    return now - at < DEAD_SECONDS and not name.endswith(".left.json")
