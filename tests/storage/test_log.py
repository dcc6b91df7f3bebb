"""A log is one sequence, whoever appends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.errors import AlreadyExistsError, NotFoundError, StateError
from tidegate.storage import FolderStore, Log, Store

WRITERS = 5
APPENDS = 20


def test_records_come_back_in_order(store: Store) -> None:
    log = Log(store, "log")
    assert log.last() is None
    for number in range(1, 13):
        assert log.append({"n": number}).number == number
    assert [record.body["n"] for record in log.records()] == list(range(1, 13))
    assert [record.number for record in log.records(after=10)] == [11, 12]
    last = log.last()
    assert last is not None
    assert last.number == 12
    with pytest.raises(NotFoundError):
        log.read(13)


def test_compare_and_set(store: Store) -> None:
    log = Log(store, "log")
    log.append({}, after=0)
    with pytest.raises(AlreadyExistsError, match="somebody else"):
        log.append({}, after=0)
    assert log.append({}, after=1).number == 2


def test_processes_append_to_one_sequence(tmp_path: Path) -> None:
    code = f"""
import sys
from tidegate.storage import FolderStore, Log
log = Log(FolderStore({str(tmp_path)!r}), "log")
for number in range({APPENDS}):
    log.append({{"writer": int(sys.argv[1]), "n": number}})
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(writer)]) for writer in range(WRITERS)
    ]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    records = list(Log(FolderStore(tmp_path), "log").records())
    assert [record.number for record in records] == list(range(1, WRITERS * APPENDS + 1))
    for writer in range(WRITERS):
        own = [record.body["n"] for record in records if record.body["writer"] == writer]
        assert own == list(range(APPENDS))
    assert len({record.nonce for record in records}) == len(records)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no 'version'"),
        (b'{"version":2}', "upgrade tidegate"),
        (b'{"version":1}', "wrong keys"),
        (b'{"body":{},"nonce":"","number":2,"version":1}', "damaged"),
        (b'{"body":NaN,"nonce":"","number":1,"version":1}', "NaN is not JSON"),
    ],
)
def test_damaged_records_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    store = FolderStore(tmp_path)
    store.create("log/000000000001.json", data)
    with pytest.raises(StateError, match=message):
        Log(store, "log").last()
