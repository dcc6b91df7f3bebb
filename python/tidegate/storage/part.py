"""A folder of a store as a store of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tidegate.storage.store import Store, check_key

__all__ = ["PartStore"]


class PartStore(Store):
    """What lies under a prefix of another store, under keys without the prefix.

    Args:
        whole: The other store.
        prefix: A folder in it.

    Raises:
        InputError: The prefix can be no key.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> whole = FolderStore(tempfile.mkdtemp())
        >>> PartStore(whole, "alerts").create("journal/1", b"first")
        >>> whole.keys()
        ['alerts/journal/1']
    """

    def __init__(self, whole: Store, prefix: str) -> None:
        self._whole: Final = whole
        self._prefix: Final = check_key(prefix.removesuffix("/"))
        self.location = f"{whole.location.removesuffix('/')}/{self._prefix}"

    def create(self, key: str, data: bytes) -> None:
        """Creates an object, durably, or fails without a trace."""
        # The other store knows what is to be done about an outcome that is not known.
        self._whole.create(self._place(check_key(key)), data)

    def keys(self, prefix: str = "") -> list[str]:
        """Every key under a prefix that ends at a slash or is empty, in order."""
        start = len(self._prefix) + 1
        return [key[start:] for key in self._whole.keys(self._place(prefix))]

    def children(self, prefix: str = "") -> list[str]:
        """The next segment of every key under a prefix, each once, in order."""
        return self._whole.children(self._place(prefix))

    def exists(self, key: str) -> bool:
        """Is there an object under this key?"""
        return self._whole.exists(self._place(key))

    def fetch(self, key: str, path: Path) -> None:
        """Writes an object into a new local file; raises `NotFoundError` if there is none."""
        self._whole.fetch(self._place(check_key(key)), path)

    def delete(self, key: str) -> None:
        """Removes an object if it is there: for leftovers only, never for what was committed."""
        self._whole.delete(self._place(check_key(key)))

    def digest(self, key: str) -> str | None:
        """The hexadecimal sha256 of an object, or None if there is none."""
        return self._whole.digest(self._place(key))

    def local(self, prefix: str) -> Path | None:
        """The folder that holds the objects under a prefix, where the store is a folder."""
        return self._whole.local(self._place(prefix))

    def _create(self, key: str, data: bytes) -> None:
        self._whole._create(self._place(key), data)

    def _get(self, key: str, limit: int) -> bytes | None:
        return self._whole._get(self._place(key), limit)

    def _place(self, key: str) -> str:
        return f"{self._prefix}/{key}" if key else self._prefix
