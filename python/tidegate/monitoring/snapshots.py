"""Snapshots of the windows of several replicas in object storage, and their report as one."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from tidegate.errors import InputError, NotFoundError, TidegateError
from tidegate.monitoring.report import DriftReport
from tidegate.storage import Store

__all__ = ["Merged", "SnapshotWriter", "Snapshots"]

KEPT: Final = 2
"""Snapshots that a replica leaves in the store: the newest, and one for those who read meanwhile."""

MAX_BYTES: Final = 256 << 20
"""Most bytes of a snapshot that is read; the core reads no more."""

DIGITS: Final = 12
"""Digits of a snapshot's number, padded so that the order of names is the order of numbers."""

PATIENCE: Final = 5.0
"""Seconds that the last snapshot may take when a replica ends."""

MAX_REPLICAS: Final = 1_000
"""Most replicas that are merged; the names of those that ended long ago should be removed."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The report of several replicas as one.

    Attributes:
        report: The drift report of all windows that could be read.
        document: The same as JSON.
        replicas: How many snapshots are in it.
        faults: Of each snapshot that was left out, what is wrong with it.
    """

    report: DriftReport
    document: str
    replicas: int
    faults: tuple[str, ...]


class Snapshots:
    """The snapshots of one version of one model.

    A snapshot holds every window that its replica keeps, so that a later one of the same replica
    replaces it: a put that fails loses nothing that the next does not bring, as long as the windows
    are kept. What a replica has written survives its end.

    Args:
        store: where they are.
        model: the served name.
        version: the version of the model.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> snapshots = Snapshots(FolderStore(tempfile.mkdtemp()), "flight-delay", "1.0.0")
        >>> snapshots.write("replica-a", 1, "{}")
        >>> snapshots.newest()
        {'replica-a': '{}'}
    """

    def __init__(self, store: Store, model: str, version: str) -> None:
        self._store = store
        self._prefix = f"watching/{model}/{version}"

    def write(self, replica: str, number: int, text: str) -> None:
        """Writes a snapshot, and removes those of the same replica that it replaces.

        Args:
            replica: which one, unique among all that have ever written here.
            number: 1 for its first, and one more with each.
            text: what the replica's monitor says.

        Raises:
            AlreadyExistsError: another replica has the same name.
            StorageError: the store cannot be reached; the next snapshot brings the same.
        """
        self._store.create(self._key(replica, number), text.encode())
        for name in self._numbers(replica)[:-KEPT]:
            self._store.delete(f"{self._prefix}/{replica}/{name}")

    def newest(self) -> dict[str, str]:
        """The newest snapshot of each replica, by its name.

        One that vanishes meanwhile is replaced by the next, and one that was cut off by the one
        before; if that is no better, it is given as it is.

        Raises:
            StorageError: the store cannot be reached.
        """
        found: dict[str, str] = {}
        for replica in self._store.children(self._prefix)[:MAX_REPLICAS]:
            for name in reversed(self._numbers(replica)):
                try:
                    data = self._store.get(f"{self._prefix}/{replica}/{name}", limit=MAX_BYTES)
                except NotFoundError:
                    continue
                found[replica] = data.decode(errors="replace")
                if _is_whole(data):
                    break
        return found

    def _numbers(self, replica: str) -> list[str]:
        return sorted(self._store.children(f"{self._prefix}/{replica}"))

    def _key(self, replica: str, number: int) -> str:
        return f"{self._prefix}/{replica}/{number:0{DIGITS}}.json"


def _is_whole(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


class SnapshotWriter:
    """Writes the snapshots of one replica from time to time, on a thread of its own.

    Nothing else waits for it. While the store cannot be reached it tries again at the next time, and
    says so in `state`.

    Args:
        store: where snapshots go.
        sources: gives the served name, the version and the snapshot of every watched model.
        every: seconds between two snapshots; the last is written by `close`.
        replica: the name of this replica; a new one by default.

    Raises:
        InputError: `every` is not positive.
    """

    def __init__(
        self,
        store: Store,
        sources: Callable[[], list[tuple[str, str, str]]],
        *,
        every: float = 60.0,
        replica: str | None = None,
    ) -> None:
        if not every > 0:
            raise InputError(f"snapshots every {every} seconds: use a positive number")
        self.replica: Final = replica or uuid.uuid4().hex[:12]
        self.store: Final = store
        self._sources = sources
        self._every = every
        self._number = 0
        self._written: float | None = None
        self._fault: str | None = None
        self._failed = 0
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="tidegate-snapshots", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def write(self) -> bool:
        """Writes a snapshot of every model now; false if one of them could not be written."""
        with self._turn:
            self._number += 1
            try:
                for model, version, text in self._sources():
                    Snapshots(self.store, model, version).write(self.replica, self._number, text)
            except (TidegateError, OSError) as error:
                self._failed += 1
                self._fault = str(error)
                return False
            self._written, self._fault = time.time(), None
            return True

    @property
    def state(self) -> dict[str, str | float | int | None]:
        """When the last snapshot was written, how many failed, and why the last one did."""
        return {
            "replica": self.replica,
            "written": self._written,
            "failed": self._failed,
            "fault": self._fault,
        }

    def close(self, patience: float = PATIENCE) -> None:
        """Writes the last snapshot and ends the thread. Twice does no harm.

        Args:
            patience: seconds that a store which does not answer is waited for.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self.write()
        self.write()
