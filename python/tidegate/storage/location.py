"""From what a user writes, `./registry` or `s3://bucket/models`, to a store."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from tidegate.errors import StorageError
from tidegate.storage.folder import FolderStore
from tidegate.storage.store import Store

__all__ = ["open_store"]

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_store(
    location: str | os.PathLike[str], *, read_only: bool = False, **options: str
) -> Store:
    """Opens a store and proves that it can arbitrate between two writers.

    Args:
        location: a folder, or a URL that `obstore` knows: `s3://`, `gs://`, `az://`, `file://`, ….
            A folder that does not exist is made by the first write.
        read_only: nothing is going to be written: leave the proof out.
        options: settings of the object store, see `ObjectStore.from_url`.

    Raises:
        ConfigurationError: the URL or an option is not understood.
        StorageError: the store accepts a second create of one key, or the folder is a file.

    Example:
        >>> open_store("./registry").location
        './registry'
    """
    text = os.fspath(location)
    if text.startswith("file://"):
        store: Store = FolderStore(unquote(urlsplit(text).path))
    elif _URL.match(text):
        # 20 MB of shared library: imported by those who use it.
        from tidegate.storage.remote import ObjectStore

        store = ObjectStore.from_url(text, **options)
    else:
        store = FolderStore(text)
    if read_only:
        return store
    if isinstance(store, FolderStore) and not store.root.exists():
        _probe_parent(store)
        return store
    store.probe()
    return store


def _probe_parent(store: FolderStore) -> None:
    """A folder that is made later must not lie below a file."""
    for folder in store.root.parents:
        if folder.is_dir():
            return
        if folder.exists():
            raise StorageError(f"cannot make folder {store.location}: {folder} is a file")
