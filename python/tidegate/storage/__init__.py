"""Object storage with create-if-absent writes, and the append-only log built on them."""

from tidegate.storage.folder import FolderStore
from tidegate.storage.location import open_store
from tidegate.storage.log import Log, Record
from tidegate.storage.part import PartStore
from tidegate.storage.store import AmbiguousWriteError, Store

__all__ = [
    "AmbiguousWriteError",
    "FolderStore",
    "Log",
    "PartStore",
    "Record",
    "Store",
    "open_store",
]
