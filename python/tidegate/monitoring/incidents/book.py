"""The records of incidents: an append-only log for each, in the store that replicas share."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final

from tidegate.errors import NotFoundError, StorageError
from tidegate.storage import Log, Store
from tidegate.types import JsonObject

__all__ = ["Book"]

LOG: Final = logging.getLogger("tidegate.alerts")

MOST_WAITING: Final = 200
"""Records that wait for the store; the oldest beyond are lost, which the log says."""

MOST_RECORDS: Final = 10_000
"""Records of one incident that are read."""

FOLDER: Final = "incidents"


class Book:
    """The records of all incidents.

    Args:
        store: Where they are.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> book = Book(FolderStore(tempfile.mkdtemp()))
        >>> book.write("20260101-000000-abcdef", {"type": "noted", "at": 0.0, "text": "looked"})
        >>> [record["text"] for record in book.read("20260101-000000-abcdef")]
        ['looked']
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[str, JsonObject]] = deque()

    def write(self, incident: str, record: JsonObject) -> None:
        """Appends a record; while the store is out of reach it waits.

        Args:
            incident: Its name.
            record: With `type` and `at`.
        """
        self._waiting.append((incident, record))
        while len(self._waiting) > MOST_WAITING:
            lost, _ = self._waiting.popleft()
            LOG.error("a record of incident %s is lost: the store is out of reach too long", lost)
        self.flush()

    def flush(self) -> None:
        """Appends what waits, if the store lets it."""
        while self._waiting:
            incident, record = self._waiting[0]
            try:
                Log(self._store, f"{FOLDER}/{incident}").append(record)
            except StorageError as error:
                LOG.warning("incident %s cannot be recorded for now: %s", incident, error)
                return
            self._waiting.popleft()

    def names(self) -> list[str]:
        """Every incident on record, oldest first.

        Raises:
            StorageError: If the store cannot be read.
        """
        return self._store.children(FOLDER)

    def read(self, incident: str) -> list[dict[str, Any]]:
        """The records of one incident, oldest first.

        Raises:
            NotFoundError: If there is none of this name.
            StorageError: If the store cannot be read.
        """
        found: list[dict[str, Any]] = []
        for record in Log(self._store, f"{FOLDER}/{incident}").records():
            found.append(dict(record.body))
            if len(found) >= MOST_RECORDS:
                break
        found += [dict(record) for name, record in self._waiting if name == incident]
        if not found:
            raise NotFoundError(f"there is no incident {incident!r}: see tidegate incidents list")
        return found
