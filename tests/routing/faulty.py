"""A store whose answers get lost, come late or are old, as several replicas see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tidegate.errors import AlreadyExistsError, NotFoundError, StorageError
from tidegate.storage import AmbiguousWriteError, Store


class Shared:
    """The objects, in the order in which they were created. Nothing is ever overwritten."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.births: dict[str, int] = {}
        self.born = 0

    def put(self, key: str, data: bytes) -> None:
        if key in self.objects:
            raise AlreadyExistsError(key)
        self.objects[key] = data
        self.born += 1
        self.births[key] = self.born


class View(Store):
    """How one replica sees the objects, with the faults that are said.

    Attributes:
        faults: What happens to the next operations, taken from the front: `cut` (no answer, and
            nothing was done), `lost` (done, and no answer), or empty.
        behind: How many of the newest objects are not seen yet; their keys are taken all the same.
        within: Called in the middle of the next put, before it arrives.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.location = "memory"
        self.faults: list[str] = []
        self.behind = 0
        self.within: Callable[[], None] | None = None

    def heal(self) -> None:
        self.faults, self.behind, self.within = [], 0, None

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""

    def _read(self) -> None:
        if self._fault():
            raise StorageError("no answer")

    def _seen(self, prefix: str) -> Iterator[str]:
        stem = prefix.removesuffix("/") + "/" if prefix else ""
        for key in sorted(self.shared.objects):
            if key.startswith(stem) and self._is_seen(key):
                yield key

    def _is_seen(self, key: str) -> bool:
        return self.shared.births[key] <= self.shared.born - self.behind

    def keys(self, prefix: str = "") -> list[str]:
        self._read()
        return list(self._seen(prefix))

    def children(self, prefix: str = "") -> list[str]:
        self._read()
        depth = len(prefix.removesuffix("/").split("/")) if prefix else 0
        return sorted({key.split("/")[depth] for key in self._seen(prefix)})

    def exists(self, key: str) -> bool:
        return self._get(key, 0) is not None

    def fetch(self, key: str, path: Path) -> None:
        data = self._get(key, 0)
        if data is None:
            raise NotFoundError(key)
        path.write_bytes(data)

    def delete(self, key: str) -> None:
        self._read()
        self.shared.objects.pop(key, None)

    def digest(self, key: str) -> str | None:
        data = self._get(key, 0)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def _get(self, key: str, limit: int) -> bytes | None:
        del limit
        self._read()
        found = key in self.shared.objects and self._is_seen(key)
        return self.shared.objects[key] if found else None

    def _create(self, key: str, data: bytes) -> None:
        fault, within = self._fault(), self.within
        if fault == "cut":
            raise AmbiguousWriteError("no answer")
        if within is not None:
            self.within = None
            within()
        self.shared.put(key, data)
        if fault == "lost":
            raise AmbiguousWriteError("no answer")
