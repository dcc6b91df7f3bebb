"""An append-only log in a store: record 1, record 2, …, each created once.

The number is the key, so that two writers who take the same number meet in the store, and one of
them takes the next. All readers see the same sequence. Nothing is ever changed, and nothing removed but by
`forget`.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidegate.errors import AlreadyExistsError, NotFoundError, OverloadedError, StateError
from tidegate.storage.canonical import decode, encode
from tidegate.storage.store import Store
from tidegate.types import Json, JsonObject

__all__ = ["Log", "Record"]

VERSION: Final = 1
"""The newest form of a record that this tidegate reads and the one that it writes."""

DIGITS: Final = 12
"""Digits of a record's key, padded so that the order of names is the order of numbers."""

MAX_RECORD_BYTES: Final = 1 << 20
"""Largest record: a log holds decisions, not data."""

MAX_CONFLICTS: Final = 1_000
"""Other writers that one append lets pass before it gives up."""

_KEY: Final = re.compile(rf"[0-9]{{{DIGITS}}}\.json\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a log.

    Attributes:
        number: 1 for the first; without gaps.
        body: what the writer appended.
        nonce: chosen by the writer, to recognise its own record.
        digest: the hexadecimal sha256 of its bytes in the store, for a chain of records.
    """

    number: int
    body: JsonObject
    nonce: str
    digest: str


class Log:
    """A sequence of records that all writers and readers of a store agree on.

    Args:
        store: where the records are.
        prefix: the folder of this log in the store.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> log = Log(FolderStore(tempfile.mkdtemp()), "decisions")
        >>> log.append({"plan": "all to 1.0.0"}).number
        1
        >>> log.append({"plan": "all to 1.1.0"}).number
        2
        >>> log.last().body
        {'plan': 'all to 1.1.0'}
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix.removesuffix("/")

    def append(self, body: JsonObject, *, after: int | None = None) -> Record:
        """Adds a record at the end.

        Args:
            body: a JSON object.
            after: the number of the record that the writer has seen last (0: none). With it the
                append is a compare-and-set: it fails if somebody else has appended meanwhile.

        Returns:
            The record with its number.

        Raises:
            AlreadyExistsError: `after` was given and is no longer the last record.
            OverloadedError: too many others append at the same time.
            StorageError: the store refuses.
        """
        nonce = uuid.uuid4().hex
        number = (self.last_number() if after is None else after) + 1
        for conflicts in range(MAX_CONFLICTS):
            record: dict[str, Json] = {
                "body": body,
                "nonce": nonce,
                "number": number,
                "version": VERSION,
            }
            data = encode(record)
            try:
                self._store.create(self._key(number), data)
            except AlreadyExistsError:
                if after is not None:
                    raise AlreadyExistsError(
                        f"record {number} of {self._prefix!r} was appended by somebody else: "
                        "read the log again and decide anew"
                    ) from None
                # Writers that met once would meet again at the same pace.
                time.sleep(random.uniform(0.0, 0.001 * min(conflicts + 1, 50)))
                number = max(number, self.last_number()) + 1
            else:
                return Record(number, body, nonce, hashlib.sha256(data).hexdigest())
        raise OverloadedError(
            f"{MAX_CONFLICTS} other records were appended to {self._prefix!r} first: try again"
        )

    def last(self) -> Record | None:
        """The newest record, or None if the log is empty."""
        number = self.last_number()
        return self.read(number) if number else None

    def read(self, number: int) -> Record:
        """One record.

        Raises:
            NotFoundError: there is no record of this number.
            StateError: it was written by a later version of tidegate, or is damaged.
        """
        key = self._key(number)
        place = f"record {key!r} of {self._store.location}"
        data = self._store.get(key, limit=MAX_RECORD_BYTES)
        document = decode(data, place, keys={"body", "nonce", "number", "version"}, newest=VERSION)
        body, nonce = document["body"], document["nonce"]
        if not isinstance(body, dict) or not isinstance(nonce, str) or document["number"] != number:
            raise StateError(f"{place} is damaged: restore it from a backup")
        return Record(number, body, nonce, hashlib.sha256(data).hexdigest())

    def records(self, *, after: int = 0) -> Iterator[Record]:
        """All records in order, from the one that follows number `after`."""
        number = after + 1
        while True:
            try:
                record = self.read(number)
            except NotFoundError:
                return
            yield record
            number += 1

    def forget(self, number: int) -> None:
        """Removes records up to a number that is not the last, where old ones say nothing more.

        The numbers of what follows stay, so that no number is ever given twice.

        Raises:
            StorageError: the store refuses.
        """
        last = self.last_number()
        for name in self._store.children(self._prefix):
            if _KEY.match(name) and int(name[:DIGITS]) <= min(number, last - 1):
                self._store.delete(f"{self._prefix}/{name}")

    def last_number(self) -> int:
        """The number of the newest record; 0 if the log is empty."""
        names = [name for name in self._store.children(self._prefix) if _KEY.match(name)]
        return int(names[-1][:DIGITS]) if names else 0

    def _key(self, number: int) -> str:
        return f"{self._prefix}/{number:0{DIGITS}}.json"
