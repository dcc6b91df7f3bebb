"""A folder as a store: temporary file, fsync, hard link, fsync of the folder.

A hard link fails if its name is taken, which makes it a create-if-absent that all processes on the
file system agree on; and it gives a complete file its name in one step, so that no reader ever sees
part of one. A process that is killed leaves at most a file under `.temporary`, which the next
writer removes once it is an hour old.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from tidegate.errors import AlreadyExistsError, NotFoundError, StorageError
from tidegate.storage.store import Store, check_key

__all__ = ["FolderStore"]

TEMPORARY: Final = ".temporary"
"""Folder of unfinished writes; its name can be no key, since it starts with a dot."""

LEFTOVER_SECONDS: Final = 3_600.0
"""Age from which an unfinished write belongs to a process that is gone."""

_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FolderStore(Store):
    """Objects as files of a folder, which is made by the first write.

    Args:
        root: the folder; on a file system with hard links (all of the usual ones on Linux).

    Example:
        >>> import tempfile
        >>> store = FolderStore(tempfile.mkdtemp())
        >>> store.create("greetings/first", b"hello")
        >>> store.get("greetings/first")
        b'hello'
        >>> store.create("greetings/first", b"other")
        Traceback (most recent call last):
            ...
        tidegate.errors.AlreadyExistsError: 'greetings/first' exists already in ...
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self.location = str(root)
        self._swept = False
        if self.root.exists() and not self.root.is_dir():
            raise StorageError(f"{self.location} is a file: name a folder")

    def keys(self, prefix: str = "") -> list[str]:
        """Every key under a prefix that ends at a slash or is empty, in order."""
        found: list[str] = []
        pending = [self._folder(prefix)]
        while pending:
            folder = pending.pop()
            for entry in self._scan(folder):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                else:
                    found.append(Path(entry.path).relative_to(self.root).as_posix())
        return sorted(found)

    def children(self, prefix: str = "") -> list[str]:
        """The next segment of every key under a prefix, each once, in order.

        A folder that a killed writer left empty counts too: ask for what is inside.
        """
        return sorted(entry.name for entry in self._scan(self._folder(prefix)))

    def exists(self, key: str) -> bool:
        """Is there an object under this key?"""
        return self._path(key).is_file()

    def fetch(self, key: str, path: Path) -> None:
        """Writes an object into a new local file; raises `NotFoundError` if there is none."""
        try:
            with self._path(key).open("rb") as source, path.open("xb") as target:
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            raise NotFoundError(f"{self.location} has no object {key!r}") from None
        except OSError as error:
            raise StorageError(f"cannot copy {key!r} to {path}: {error.strerror}") from error

    def delete(self, key: str) -> None:
        """Removes an object if it is there: for leftovers only, never for what was committed."""
        # The folder stays, even if it is empty: another writer may be about to link into it.
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            self._explain(error, key)

    def digest(self, key: str) -> str | None:
        """The hexadecimal sha256 of an object, or None if there is none."""
        try:
            with self._path(key).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._explain(error, key)

    def local(self, prefix: str) -> Path | None:
        """The folder that holds the objects under a prefix."""
        return self._folder(prefix)

    def _get(self, key: str, limit: int) -> bytes | None:
        try:
            with self._path(key).open("rb") as file:
                return file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise StorageError(
                f"cannot read {key!r} of {self.location}: {error.strerror}"
            ) from error

    def _create(self, key: str, data: bytes) -> None:
        target = self._path(key)
        temporary = self.root / TEMPORARY / f"{os.getpid()}-{uuid.uuid4().hex}"
        try:
            self._make_folder(temporary.parent)
            self._make_folder(target.parent)
            self._sweep(temporary.parent)
            try:
                self._write(temporary, data)
                self._link(temporary, target)
                self._sync_folder(target.parent)
            finally:
                self._discard(temporary)
        except FileExistsError:
            raise AlreadyExistsError(f"{key!r} exists already in {self.location}") from None
        except OSError as error:
            self._explain(error, key)

    def _write(self, temporary: Path, data: bytes) -> None:
        """All bytes, on the disk, under a name that no reader looks at."""
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _link(self, temporary: Path, target: Path) -> None:
        """The commit: the complete file gets its name, unless the name is taken."""
        os.link(temporary, target)

    def _sync_folder(self, folder: Path) -> None:
        """Makes the names of a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _discard(self, temporary: Path) -> None:
        with suppress(OSError):
            temporary.unlink()

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it, each name durable before the next."""
        if folder.is_dir():
            return
        if folder != folder.parent:
            self._make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            self._sync_folder(folder.parent)

    def _sweep(self, folder: Path) -> None:
        """Removes what killed writers left, once in the life of this store."""
        if self._swept:
            return
        self._swept = True
        marker = folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        with suppress(OSError):
            # The age is taken by the clock of the file system, which need not be this machine's.
            marker.touch()
            now = marker.stat().st_mtime
            marker.unlink()
            for leftover in folder.iterdir():
                with suppress(OSError):
                    if now - leftover.lstat().st_mtime > LEFTOVER_SECONDS:
                        leftover.unlink()

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _folder(self, prefix: str) -> Path:
        stem = prefix.removesuffix("/")
        return self.root / check_key(stem) if stem else self.root

    def _scan(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError(
                f"cannot list {folder}: {error.strerror}: check the folder's permissions"
            ) from error

    def _explain(self, error: OSError, key: str) -> NoReturn:
        if error.errno in _READ_ONLY:
            reason, mend = "it is read-only for this user", "make it writable or name another"
        elif error.errno in _FULL:
            reason, mend = "it is full", "free space or name another"
        elif error.errno in {errno.ENOTSUP, errno.EMLINK}:
            reason, mend = "its file system has no hard links", "name another"
        else:
            reason, mend = str(error.strerror or error), "check the folder"
        raise StorageError(
            f"cannot write {key!r} to folder {self.location}: {reason}: {mend}"
        ) from (error)
