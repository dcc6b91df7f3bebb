"""The history of a deployment: its revisions, each linked to the one before by a hash.

A record is void if it carries a fencing token lower than one before it: a replica decided by a
lease that another held already. Each record says what the greatest token before it was, so that
every reader can tell from one record alone, and all tell the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tidegate.errors import AlreadyExistsError, ConflictError, NotFoundError, StateError
from tidegate.routing.revision import Revision
from tidegate.storage import Log, Record, Store

__all__ = ["Entry", "History", "Verified"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a history.

    Attributes:
        revision: What it says.
        void: Whether everybody skips it.
        digest: The hexadecimal sha256 of its bytes, which the next record names.
    """

    revision: Revision
    void: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a proof of a history has found.

    Attributes:
        revisions: How many there are.
        void: The numbers of those that are void.
        head: The digest of the last record; who keeps it elsewhere can tell later that nothing
            was rewritten.
    """

    revisions: int
    void: tuple[int, ...]
    head: str | None


class History:
    """The revisions of one deployment, as one reader has seen them.

    The reader starts at the newest record, and from then on asks for the next number only: one
    object that is mostly not there yet.

    Args:
        store: Where they are.
        deployment: The served name.

    Example:
        >>> import tempfile
        >>> from tidegate.routing.plan import Routing
        >>> from tidegate.storage import FolderStore
        >>> history = History(FolderStore(tempfile.mkdtemp()), "flight-delay")
        >>> first = Revision("flight-delay", 1, 0.0, "ann", "", "set", Routing.alone("1.0.0"))
        >>> history.append(first).number
        1
        >>> history.newest.actor, history.verify().revisions
        ('ann', 1)
    """

    def __init__(self, store: Store, deployment: str) -> None:
        self.deployment: Final = deployment
        self._log = Log(store, f"deployments/{deployment}/revisions")
        self._place = f"of deployment {deployment!r} in {store.location}"
        self._last: Entry | None = None
        self._newest: Revision | None = None

    @property
    def newest(self) -> Revision | None:
        """The newest revision that is not void, of those that were read."""
        return self._newest

    @property
    def number(self) -> int:
        """The number of the newest record that was read, void or not; 0 for none."""
        return 0 if self._last is None else self._last.revision.number

    def refresh(self) -> bool:
        """Reads what others have appended.

        Returns:
            Whether there was something.

        Raises:
            StorageError: If the store cannot be read.
            StateError: If a record is damaged, was edited, or does not follow from the one before;
                what was read before it stays.
        """
        before = self.number
        if self._last is None:
            self._start()
        if self._last is not None:
            while (entry := self._next(self._last)) is not None:
                self._take(entry)
        return self.number != before

    def check(self) -> None:
        """Reads the newest record again, which must be as it was.

        Raises:
            StateError: If it is gone, or was changed: nobody else would notice before the next.
            StorageError: If the store cannot be read.
        """
        if self._last is None:
            return
        try:
            self._check_same(self.read(self.number), self._last)
        except NotFoundError:
            raise StateError(
                f"revision {self.number} {self._place} is gone: look whether the store is there, "
                "or restore it from a backup"
            ) from None

    def append(self, revision: Revision) -> Revision:
        """Adds a revision after the last one that was read.

        Args:
            revision: With the number that follows; its link to the record before is made here.

        Returns:
            The revision as it was written.

        Raises:
            ConflictError: If somebody else was first, or decided with a newer lease: read again.
            StorageError: If the store refuses; an `AmbiguousWriteError` may have written it.
        """
        last = self._last
        fence = _fence(last)
        if revision.token is not None and revision.token < fence:
            raise ConflictError(
                f"revision {revision.number} {self._place} is decided by lease {revision.token}, "
                f"and lease {fence} has decided already: look at it again"
            )
        linked = replace(
            revision,
            number=self.number + 1,
            previous=None if last is None else last.digest,
            fence=fence,
        )
        try:
            record = self._log.append(linked.to_document(), after=self.number)
        except AlreadyExistsError as error:
            raise ConflictError(
                f"revision {linked.number} {self._place} was appended by somebody else meanwhile: "
                "look at it and decide again"
            ) from error
        self._take(Entry(linked, void=False, digest=record.digest))
        return linked

    def read(self, number: int) -> Entry:
        """One record.

        Raises:
            NotFoundError: If there is none of this number.
            StateError: If it is damaged, or was edited.
        """
        try:
            return self._entry(self._log.read(number))
        except NotFoundError:
            raise NotFoundError(f"there is no revision {number} {self._place}") from None

    def back(self, number: int | None = None) -> Iterator[Entry]:
        """Records from a number, by default the newest that was read, down to the first."""
        for each in range(self.number if number is None else number, 0, -1):
            yield self.read(each)

    def entries(self) -> Iterator[Entry]:
        """All records in order, each held against the one before.

        Raises:
            StateError: If one is damaged, was edited, or does not follow from the one before.
        """
        last: Entry | None = None
        while (entry := self._next(last)) is not None:
            yield entry
            last = entry

    def verify(self) -> Verified:
        """Proves the chain: reads every record, and that each follows from the one before.

        Raises:
            StateError: If one does not; the message names it.
        """
        count, void, head = 0, [], None
        for entry in self.entries():
            count, head = count + 1, entry.digest
            if entry.void:
                void.append(entry.revision.number)
            if self._last is not None and entry.revision.number == self.number:
                self._check_same(entry, self._last)
        missing = max(self.number, self._log.last_number())
        if missing > count:
            raise StateError(
                f"revision {count + 1} {self._place} is missing, and there are later ones: "
                "restore it from a backup"
            )
        return Verified(count, tuple(void), head)

    def _start(self) -> None:
        last: Entry | None = None
        for number in range(self._log.last_number(), 0, -1):
            try:
                entry = self._entry(self._log.read(number))
            except NotFoundError:
                # A listing may be ahead of what can be read: the next refresh starts anew.
                return
            last = last or entry
            if not entry.void:
                self._last, self._newest = last, entry.revision
                return

    def _next(self, last: Entry | None) -> Entry | None:
        number = 1 if last is None else last.revision.number + 1
        try:
            entry = self._entry(self._log.read(number))
        except NotFoundError:
            return None
        previous = None if last is None else last.digest
        if (entry.revision.previous, entry.revision.fence) != (previous, _fence(last)):
            raise StateError(
                f"revision {number} {self._place} does not follow from revision {number - 1}: one "
                "of the two was changed after it was written; restore it from a backup"
            )
        return entry

    def _entry(self, record: Record) -> Entry:
        place = f"revision {record.number} {self._place}"
        revision = Revision.from_document(record.body, place)
        if (revision.number, revision.deployment) != (record.number, self.deployment):
            raise StateError(
                f"{place} says that it is revision {revision.number} of {revision.deployment!r}: "
                "restore it from a backup"
            )
        return Entry(revision, revision.is_void, record.digest)

    def _take(self, entry: Entry) -> None:
        self._last = entry
        if not entry.void:
            self._newest = entry.revision

    def _check_same(self, found: Entry, seen: Entry) -> None:
        if found.digest != seen.digest:
            raise StateError(
                f"revision {seen.revision.number} {self._place} is not what was read before: it "
                "was changed after it was written; restore it from a backup"
            )


def _fence(last: Entry | None) -> int:
    """The greatest token up to a record, which the next one names."""
    return 0 if last is None else max(last.revision.fence, last.revision.token or 0)
