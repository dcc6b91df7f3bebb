"""A folder that cannot be written, and what killed writers leave in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.errors import StorageError
from tidegate.storage import FolderStore, open_store
from tidegate.storage.folder import LEFTOVER_SECONDS, TEMPORARY


def mount(path: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where the user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    if not mount(place, "size=64k"):
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_file_system_is_named_and_recovers(small: Path) -> None:
    store = open_store(small / "registry")
    store.create("a", b"x" * 1_000)
    with pytest.raises(StorageError, match=r"it is full: free space") as raised:
        store.create("b", b"x" * 100_000)
    assert str(small) in str(raised.value)
    assert not store.exists("b")
    assert list((small / "registry" / TEMPORARY).iterdir()) == []
    store.create("b", b"x" * 1_000)


def test_a_limit_on_file_sizes_is_named(tmp_path: Path) -> None:
    code = f"""
import resource
from tidegate.errors import StorageError
from tidegate.storage import FolderStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = FolderStore({str(tmp_path)!r})
store.create("a", b"x" * 900)
try:
    store.create("b", b"x" * 2000)
except StorageError as error:
    assert "it is full" in str(error), error
    assert store.keys() == ["a"]
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_a_read_only_folder_is_named(small: Path) -> None:
    FolderStore(small / "registry").create("a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    store = open_store(small / "registry")
    assert store.get("a") == b"1"
    with pytest.raises(StorageError, match=r"it is read-only for this user: make it writable"):
        store.create("b", b"2")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    FolderStore(folder).create("a", b"1")
    folder.chmod(0o555)
    (folder / TEMPORARY).chmod(0o555)
    with pytest.raises(StorageError, match="read-only"):
        open_store(folder).create("b", b"2")


def test_leftovers_are_removed_once_they_are_old(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.create("a", b"1")
    old, young = tmp_path / TEMPORARY / "1-old", tmp_path / TEMPORARY / "2-young"
    for path in (old, young):
        path.write_bytes(b"half of a fi")
    long_ago = young.stat().st_mtime - LEFTOVER_SECONDS - 60.0
    os.utime(old, (long_ago, long_ago))
    again = FolderStore(tmp_path)
    assert again.keys() == ["a"]
    again.create("b", b"2")
    assert not old.exists()
    assert young.exists()
