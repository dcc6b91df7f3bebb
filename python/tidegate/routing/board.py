"""What replicas tell each other during a rollout: what they have counted, and what they refuse."""

from __future__ import annotations

from typing import Any, Final

from tidegate.errors import AlreadyExistsError, NotFoundError, StateError
from tidegate.storage import Store
from tidegate.storage.canonical import decode, encode

__all__ = ["Board"]

DIGITS: Final = 12

KEPT: Final = 2
"""Samples that a replica leaves: the newest, and one for those who read meanwhile."""

MAX_SAMPLE_BYTES: Final = 16 << 20
"""Largest sample that is read."""

MAX_REPLICAS: Final = 1_000
"""Most replicas whose samples are merged."""

MAX_WHY: Final = 2_000


class Board:
    """The samples and refusals of one deployment.

    A sample holds everything that its replica has counted within a revision, so that a later one
    replaces it, and a put that fails loses nothing that the next does not bring.

    Args:
        store: Where they are.
        deployment: The served name.
        replica: This one's name, which no other has ever had.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> board = Board(FolderStore(tempfile.mkdtemp()), "m", "a")
        >>> board.publish(7, "{}")
        >>> board.samples(7), board.samples(8)
        ({'a': '{}'}, {})
    """

    def __init__(self, store: Store, deployment: str, replica: str) -> None:
        self._store = store
        self._prefix = f"deployments/{deployment}"
        self._replica = replica
        self._revision = 0
        self._number = 0

    def publish(self, revision: int, text: str) -> None:
        """Writes what this replica has counted, in place of what it wrote before.

        Raises:
            StorageError: If the store refuses.
        """
        if revision != self._revision:
            self._revision, self._number = revision, 0
        self._number += 1
        folder = f"{self._prefix}/samples/{revision}/{self._replica}"
        self._store.create(f"{folder}/{self._number:0{DIGITS}}.json", text.encode())
        if self._number > KEPT:
            self._store.delete(f"{folder}/{self._number - KEPT:0{DIGITS}}.json")

    def samples(self, revision: int) -> dict[str, str]:
        """The newest sample of each replica within a revision, by the replica's name.

        Raises:
            StorageError: If the store cannot be read.
        """
        found: dict[str, str] = {}
        folder = f"{self._prefix}/samples/{revision}"
        for replica in self._store.children(folder)[:MAX_REPLICAS]:
            for name in reversed(self._store.children(f"{folder}/{replica}")):
                try:
                    data = self._store.get(f"{folder}/{replica}/{name}", limit=MAX_SAMPLE_BYTES)
                except NotFoundError:
                    continue  # It was replaced meanwhile.
                found[replica] = data.decode(errors="replace")
                break
        return found

    def refuse(self, revision: int, why: str) -> None:
        """Says that this replica does not serve a revision, once.

        Raises:
            StorageError: If the store refuses.
        """
        body = encode({"version": 1, "why": why[:MAX_WHY]})
        try:
            self._store.create(self._refusal(revision, self._replica), body)
        except AlreadyExistsError:
            return

    def refusals(self, revision: int) -> dict[str, str]:
        """Why replicas do not serve a revision, by their names.

        Raises:
            StorageError: If the store cannot be read.
        """
        found: dict[str, str] = {}
        for name in self._store.children(f"{self._prefix}/refusals/{revision}")[:MAX_REPLICAS]:
            replica = name.removesuffix(".json")
            key = self._refusal(revision, replica)
            try:
                body: dict[str, Any] = decode(
                    self._store.get(key), f"object {key!r}", keys={"version", "why"}, newest=1
                )
                found[replica] = str(body["why"])
            except NotFoundError:
                continue
            except StateError as error:
                found[replica] = str(error)
        return found

    def sweep(self, revision: int) -> None:
        """Removes what was said of revisions before the one before this.

        Late observations of the one before still come.

        Raises:
            StorageError: If the store refuses.
        """
        for what in ("samples", "refusals"):
            for name in self._store.children(f"{self._prefix}/{what}"):
                if name.isdigit() and int(name) < revision - 1:
                    for key in self._store.keys(f"{self._prefix}/{what}/{name}"):
                        self._store.delete(key)

    def _refusal(self, revision: int, replica: str) -> str:
        return f"{self._prefix}/refusals/{revision}/{replica}.json"
