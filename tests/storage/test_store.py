"""What every store promises, and what no store may be made to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import (
    AlreadyExistsError,
    ConfigurationError,
    InputError,
    NotFoundError,
    StorageError,
    TooLargeError,
)
from tidegate.storage import AmbiguousWriteError, FolderStore, Store, open_store
from tidegate.storage.store import check_key


def test_an_object_is_created_once(store: Store) -> None:
    store.create("a/b", b"first")
    with pytest.raises(AlreadyExistsError, match="a/b"):
        store.create("a/b", b"second")
    assert store.get("a/b") == b"first"


def test_the_same_bytes_count_as_the_same_create(store: Store) -> None:
    store.create("a", b"with a nonce")
    store.create("a", b"with a nonce")


def test_keys_and_children(store: Store) -> None:
    for key in ("m/x/1", "m/x/2", "m/y", "n"):
        store.create(key, key.encode())
    assert store.keys("m") == ["m/x/1", "m/x/2", "m/y"]
    assert store.children("m") == ["x", "y"]
    assert store.children("m/x/") == ["1", "2"]
    assert set(store.children()) >= {"m", "n"}
    assert store.keys("m/") == store.keys("m")
    # A prefix is a folder, not the start of a name.
    assert store.keys("m/x") == ["m/x/1", "m/x/2"]
    assert store.children("absent") == []
    assert store.keys("absent") == []


def test_an_absent_object(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        store.get("nothing")
    with pytest.raises(NotFoundError):
        store.fetch("nothing", tmp_path / "file")
    assert store.digest("nothing") is None
    assert not store.exists("nothing")
    store.delete("nothing")


def test_fetch_digest_delete(store: Store, tmp_path: Path) -> None:
    store.create("big", b"x" * 3_000_000)
    store.fetch("big", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x" * 3_000_000
    digest = store.digest("big")
    assert digest is not None
    assert len(digest) == 64
    assert store.exists("big")
    store.delete("big")
    assert not store.exists("big")


def test_get_is_bounded(store: Store) -> None:
    store.create("big", b"x" * 101)
    assert len(store.get("big", limit=101)) == 101
    with pytest.raises(TooLargeError, match="100"):
        store.get("big", limit=100)


def test_probe_leaves_nothing(store: Store) -> None:
    assert store.probe()
    assert store.keys() == []


@given(key=st.text(max_size=40))
def test_a_key_never_leaves_its_folder(key: str) -> None:
    try:
        check_key(key)
    except InputError:
        return
    for part in key.split("/"):
        assert part
        assert not part.startswith(".")


@pytest.mark.parametrize(
    "key", ["", "/", "a//b", "../a", "a/..", "a/./b", ".hidden", "a b", "a\\b", "ä", "x" * 2000]
)
def test_bad_keys_are_refused(store: Store, key: str) -> None:
    with pytest.raises(InputError):
        store.create(key, b"")


class Overwriting(FolderStore):
    """A store without conditional puts."""

    def _create(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_a_store_that_overwrites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="second create"):
        Overwriting(tmp_path).probe()


class Unsure(FolderStore):
    """The connection breaks, before or after the object arrives."""

    def __init__(self, root: Path, *, arrives: bool, breaks: int) -> None:
        super().__init__(root)
        self.arrives, self.breaks = arrives, breaks

    def _create(self, key: str, data: bytes) -> None:
        if self.breaks:
            self.breaks -= 1
            if self.arrives:
                super()._create(key, data)
            raise AmbiguousWriteError("connection reset")
        super()._create(key, data)


@pytest.mark.parametrize("arrives", [False, True])
def test_an_ambiguous_put_is_settled(tmp_path: Path, arrives: bool) -> None:
    store = Unsure(tmp_path, arrives=arrives, breaks=1)
    store.create("a", b"nonce 1")
    assert store.get("a") == b"nonce 1"


def test_an_ambiguous_put_that_lost_says_so(tmp_path: Path) -> None:
    FolderStore(tmp_path).create("a", b"nonce of another")
    with pytest.raises(AlreadyExistsError):
        Unsure(tmp_path, arrives=False, breaks=1).create("a", b"nonce 1")


def test_an_unreachable_store_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousWriteError):
        Unsure(tmp_path, arrives=False, breaks=99).create("a", b"")


def test_places(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/x")
    store.create("a", b"1")
    assert (tmp_path / "x" / "a").read_bytes() == b"1"
    with pytest.raises(ConfigurationError, match="xx://"):
        open_store("xx://bucket")
    with pytest.raises(ConfigurationError, match="bogus"):
        open_store("s3://bucket", bogus="1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="is a file"):
        open_store(tmp_path / "file")
    with pytest.raises(StorageError, match="is a file"):
        open_store(tmp_path / "file" / "below")


def test_opening_for_reading_makes_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "absent", read_only=True)
    open_store(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_is_named(s3_endpoint: str) -> None:
    with pytest.raises(NotFoundError, match="make the bucket"):
        open_store(
            "s3://nobody-made-this",
            endpoint=s3_endpoint,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
        )
