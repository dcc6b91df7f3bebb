"""The history is one chain that every reader reads alike, and an edit of it is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.routing.counting import Counting

from tidegate.errors import ConflictError, NotFoundError, StateError
from tidegate.routing import Revision, Routing
from tidegate.routing.history import History
from tidegate.storage import FolderStore, Log, Store
from tidegate.storage.canonical import encode

FIRST = Revision("m", 1, 10.0, "ann", "first", "set", Routing.alone("1.0.0"))
PREFIX = "deployments/m/revisions"


def following(history: History, version: str, **more: Any) -> Revision:
    newest = history.newest
    assert newest is not None
    return newest.following(
        "set", actor="bob", reason="", time=20.0, routing=Routing.alone(version), **more
    )


def test_revisions_are_linked_and_read_back(store: Store) -> None:
    writer, reader = History(store, "m"), History(store, "m")
    assert not reader.refresh()
    assert reader.newest is None
    writer.append(FIRST)
    second = writer.append(following(writer, "1.1.0"))
    assert second.previous is not None
    assert reader.refresh()
    assert reader.newest == second
    assert not reader.refresh()
    third = writer.append(following(writer, "1.2.0", token=4))
    late = History(store, "m")
    assert reader.refresh()
    assert late.refresh()
    assert reader.newest == late.newest == third
    assert [entry.revision.number for entry in reader.entries()] == [1, 2, 3]
    assert [entry.revision.number for entry in reader.back()] == [3, 2, 1]
    found = late.verify()
    assert (found.revisions, found.void) == (3, ())
    with pytest.raises(NotFoundError, match="no revision 4 of deployment 'm'"):
        reader.read(4)


def test_of_two_writers_one_reads_again(store: Store) -> None:
    first, second = History(store, "m"), History(store, "m")
    first.append(FIRST)
    second.refresh()
    mine = first.append(following(first, "1.1.0"))
    with pytest.raises(ConflictError, match=r"revision 2 .* appended by somebody else meanwhile"):
        second.append(following(second, "1.2.0"))
    assert second.newest is not None
    assert second.newest.number == 1
    second.refresh()
    assert second.newest == mine
    assert second.append(following(second, "1.2.0")).number == 3


def test_a_poll_is_one_read_and_no_listing(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    history = History(store, "m")
    history.append(FIRST)
    history.refresh()
    store.reads.clear()
    for _ in range(5):
        history.refresh()
    assert store.reads == [f"get {PREFIX}/000000000002.json"] * 5


def test_a_long_history_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    writer = History(FolderStore(tmp_path), "m")
    writer.append(FIRST)
    for number in range(30):
        writer.append(following(writer, f"1.{number}.0"))
    store = Counting(tmp_path)
    History(store, "m").refresh()
    assert len(store.reads) <= 3


def void(store: Store, history: History) -> Revision:
    """Appends as a replica that was stopped between its look and its write, and has no fence."""
    assert history.newest is not None
    last = history.read(history.number)
    stale = dataclasses.replace(
        following(history, "6.6.6", token=1),
        number=history.number + 1,
        previous=last.digest,
        fence=max(last.revision.fence, last.revision.token or 0),
    )
    Log(store, PREFIX).append(stale.to_document(), after=history.number)
    return stale


def test_what_an_old_lease_decides_is_void(store: Store) -> None:
    writer, running = History(store, "m"), History(store, "m")
    writer.append(FIRST)
    kept = writer.append(following(writer, "1.1.0", token=2))
    with pytest.raises(ConflictError, match="decided by lease 1, and lease 2 has decided already"):
        writer.append(following(writer, "6.6.6", token=1))
    running.refresh()
    void(store, writer)
    fresh = History(store, "m")
    for reader in (writer, running, fresh):
        reader.refresh()
        assert reader.newest == kept
        assert reader.number == 3
    # A command of a person carries no token, and is never void.
    after = fresh.append(following(fresh, "1.0.0"))
    assert after.number == 4
    running.refresh()
    assert running.newest == after
    assert running.verify().void == (3,)


def edited(tmp_path: Path, number: int, *, sealed: bool) -> None:
    """Changes the version in a record, as somebody with an editor does."""
    path = tmp_path / PREFIX / f"{number:012}.json"
    record = json.loads(path.read_bytes())
    body = record["body"]
    body["routing"]["arms"][0]["version"] = "6.6.6"
    if sealed:
        # Somebody who knows the format.
        revision = {key: value for key, value in body.items() if key != "seal"}
        from tidegate.routing.revision import _seal

        body["seal"] = _seal(revision)
    path.write_bytes(encode(record))


@pytest.mark.parametrize("sealed", [False, True])
def test_an_edit_on_disk_is_known(tmp_path: Path, sealed: bool) -> None:
    store = FolderStore(tmp_path)
    writer, running = History(store, "m"), History(store, "m")
    writer.append(FIRST)
    second = writer.append(following(writer, "1.1.0"))
    running.refresh()
    edited(tmp_path, 2, sealed=sealed)
    # Who has read it before goes on by what it read, and says so when asked.
    assert not running.refresh()
    assert running.newest == second
    for look in (running.check, running.verify):
        with pytest.raises(StateError, match=r"revision 2 of deployment 'm' .* changed after it"):
            look()
    if not sealed:
        with pytest.raises(StateError, match="changed after it was written"):
            History(store, "m").refresh()


@pytest.mark.parametrize("sealed", [False, True])
def test_an_edit_below_the_newest_is_known(tmp_path: Path, sealed: bool) -> None:
    store = FolderStore(tmp_path)
    writer = History(store, "m")
    writer.append(FIRST)
    writer.append(following(writer, "1.1.0"))
    edited(tmp_path, 1, sealed=sealed)
    with pytest.raises(StateError, match=r"revision [12] .* changed after it was written"):
        History(store, "m").verify()


def test_a_link_to_another_record_stops_the_reader_where_it_was(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    writer, running = History(store, "m"), History(store, "m")
    writer.append(FIRST)
    running.refresh()
    wrong = dataclasses.replace(following(writer, "1.1.0"), previous="0" * 64)
    Log(store, PREFIX).append(wrong.to_document(), after=1)
    for _ in range(2):
        with pytest.raises(StateError, match=r"revision 2 .* does not follow from revision 1"):
            running.refresh()
    assert running.newest is not None
    assert running.newest.number == 1


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    writer = History(FolderStore(tmp_path), "m")
    writer.append(FIRST)
    for version in ("1.1.0", "1.2.0"):
        writer.append(following(writer, version))
    (tmp_path / PREFIX / "000000000002.json").unlink()
    with pytest.raises(StateError, match=r"revision 2 of deployment 'm' .* is missing"):
        writer.verify()


def test_a_record_of_another_deployment_is_refused(tmp_path: Path) -> None:
    History(FolderStore(tmp_path), "m").append(FIRST)
    (tmp_path / "deployments" / "n").mkdir()
    (tmp_path / PREFIX).rename(tmp_path / "deployments" / "n" / "revisions")
    with pytest.raises(StateError, match="says that it is revision 1 of 'm'"):
        History(FolderStore(tmp_path), "n").refresh()


def test_a_folder_that_is_gone_is_known(tmp_path: Path) -> None:
    root = tmp_path / "store"
    running = History(FolderStore(root), "m")
    running.append(FIRST)
    running.check()
    root.rename(tmp_path / "elsewhere")
    assert not running.refresh()
    with pytest.raises(StateError, match=r"revision 1 .* is gone: look whether the store is there"):
        running.check()
    (tmp_path / "elsewhere").rename(root)
    running.check()
