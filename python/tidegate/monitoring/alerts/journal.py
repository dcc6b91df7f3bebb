"""The journal that all replicas share: appended by compare-and-set, folded into one state.

While the store is out of reach, records gather in memory and count here; they are appended once it
answers again. So an alert is told although the store is down, at the price that another replica
may tell it too.
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tidegate.errors import AlreadyExistsError, OverloadedError, StateError, StorageError
from tidegate.monitoring.alerts.state import State
from tidegate.storage import Log, Store
from tidegate.storage.canonical import decode, encode

__all__ = ["Journal"]

LOG: Final = logging.getLogger("tidegate.alerts")

CHECKPOINT: Final = 200
"""Records after which the state is written, so that a start reads few of them."""

MOST_WAITING: Final = 1_000
"""Records that wait for the store; the oldest beyond are lost, which the log says."""

MOST_CONFLICTS: Final = 50


class Journal:
    """Records of one store, and the state that follows from them.

    Attributes:
        state: What follows from the records.
        lost: Records that waited for the store too long.
        foreign: Records that were read rather than appended here.

    Args:
        store: Where the records are.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> journal = Journal(FolderStore(tempfile.mkdtemp()))
        >>> body = {"type": "changed", "at": 0.0, "what": "deployment", "name": "m"}
        >>> journal.append({**body, "before": "", "after": "1.0.0"})
        True
        >>> journal.state.served
        {'m': '1.0.0'}
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = Log(store, "journal")
        self._number = 0
        self._committed: State | None = None
        self._waiting: deque[dict[str, Any]] = deque()
        self.state = State()
        self.lost = 0
        self.foreign = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was ever recorded."""
        return self._number == 0 and not self._waiting

    @property
    def offline(self) -> bool:
        """Whether records wait for the store."""
        return self._committed is not None

    def open(self) -> None:
        """Reads the newest checkpoint, and the records after it.

        Raises:
            StorageError: If the store cannot be read.
            StateError: If something in it is damaged.
        """
        names = self._store.children("checkpoints")
        if names:
            key = f"checkpoints/{names[-1]}"
            document = decode(
                self._store.get(key), f"object {key!r}", keys={"state", "version"}, newest=1
            )
            self.state = State.from_json(document)
            self._number = int(names[-1].removesuffix(".json"))
        self.refresh()

    def begin_offline(self) -> None:
        """Goes on in memory from nothing, until the store can be read."""
        self._committed = State()

    def refresh(self) -> None:
        """Reads what others have appended, and appends what waits.

        Raises:
            StorageError: If the store cannot be read; what waits goes on waiting.
        """
        if self._committed is not None:
            before, self.state = self.state, copy.deepcopy(self._committed)
            try:
                self._read()
                self._committed = None
                while self._waiting:
                    if not self._commit(self._waiting[0], None):
                        break
                    self._waiting.popleft()
            except StorageError:
                if self._committed is None:
                    self._committed = copy.deepcopy(self.state)
                    for body in self._waiting:
                        self.state.apply(body)
                else:
                    self.state = before
                raise
            LOG.warning("the store of alerts answers again: everything is on record")
        self._read()

    def append(
        self, body: dict[str, Any], *, unless: Callable[[State], bool] | None = None
    ) -> bool:
        """Appends a record at the end, after everything that others have appended.

        Args:
            body: With `type` and `at`.
            unless: Asked of the state just before: if it is true, nothing is appended.

        Returns:
            Whether it was appended, or waits for the store.
        """
        if not self.offline:
            try:
                return self._commit(body, unless)
            except StorageError as error:
                LOG.warning("alerts cannot be recorded for now, and go on in memory: %s", error)
                self._committed = copy.deepcopy(self.state)
        if unless is not None and unless(self.state):
            return False
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(body)
        self.state.apply(body)
        return True

    def _commit(self, body: dict[str, Any], unless: Callable[[State], bool] | None) -> bool:
        for _ in range(MOST_CONFLICTS):
            if unless is not None and unless(self.state):
                return False
            try:
                self._log.append(body, after=self._number)
            except AlreadyExistsError:
                self._read()
                continue
            self._take(body)
            if self._number % CHECKPOINT == 0:
                self._checkpoint()
            return True
        raise OverloadedError(
            f"{MOST_CONFLICTS} other records were appended to the journal of alerts first"
        )

    def _read(self) -> None:
        for record in self._log.records(after=self._number):
            self._take(dict(record.body))
            self.foreign += 1

    def _take(self, body: dict[str, Any]) -> None:
        self._number += 1
        try:
            self.state.apply(body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(
                f"record {self._number} of the journal of alerts is damaged ({error}): restore it"
            ) from error

    def _checkpoint(self) -> None:
        key = f"checkpoints/{self._number:012}.json"
        try:
            self._store.create(key, encode(self.state.to_json()))
        except (AlreadyExistsError, StorageError) as error:
            LOG.warning("the checkpoint %s was not written: %s", key, error)
