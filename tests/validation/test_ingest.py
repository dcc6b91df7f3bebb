"""Ingestion: every format, each part once, and the same files after a kill."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import operator
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidegate import Rules, col
from tidegate.errors import BackendError, DataError, InputError, NotFoundError, StateError
from tidegate.storage import open_store
from tidegate.validation import (
    aggregate,
    fingerprint,
    in_range,
    ingest,
    ingested,
    not_null,
    outliers,
    rule,
    unique,
)
from tidegate.validation.ingestion import Ingested
from tidegate.validation.source import open_source

RULES = Rules(in_range("x", 0, name="positive"), not_null("s", name="there"))
TABLE = pa.table({"x": [1, -2, 3, 4], "s": ["a", "b", None, "d"]})


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def count(folder: Path) -> int:
    """How many files there are, while others may come and go."""
    return sum(len(names) for _, _, names in os.walk(folder))


def write(folder: Path, name: str) -> Path:
    path = folder / name
    text = "x,s\n1,a\n-2,b\n3,\n4,d\n"
    lines = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist())
    match name.split(".", 1)[1]:
        case "csv":
            path.write_text(text)
        case "csv.gz":
            path.write_bytes(gzip.compress(text.encode()))
        case "tsv":
            path.write_text(text.replace(",", "\t"))
        case "jsonl":
            path.write_text(lines)
        case "ndjson.gz":
            path.write_bytes(gzip.compress(lines.encode()))
        case "parquet":
            pq.write_table(TABLE, path)
        case "arrow":
            with pa.ipc.new_file(path, TABLE.schema) as writer:
                writer.write_table(TABLE)
        case "arrows":
            with pa.ipc.new_stream(path, TABLE.schema) as writer:
                writer.write_table(TABLE)
    return path


@pytest.mark.parametrize(
    "name",
    ["t.csv", "t.csv.gz", "t.tsv", "t.jsonl", "t.ndjson.gz", "t.parquet", "t.arrow", "t.arrows"],
)
def test_every_format_is_read_and_its_rows_taken_apart(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    lake = tmp_path / "lake"
    (part,) = ingest(str(path), str(lake), rules=RULES)
    assert (part.part, part.rows, part.bad_rows, part.new) == (name, 2, 2, True)
    (good,), (bad,) = part.files, part.quarantined
    table = pq.read_table(lake / good)
    assert table.to_pylist() == [{"x": 1, "s": "a"}, {"x": 4, "s": "d"}]
    broken = pq.read_table(lake / bad)
    assert broken["_broken_rules"].to_pylist() == ["positive", "there"]
    assert broken["_row"].to_pylist() == [1, 2]
    assert part.fingerprint == fingerprint(table)
    said = json.loads(pq.read_metadata(lake / good).metadata[b"tidegate"])
    assert said["part"] == name
    assert said["rows"] == 2
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said["rules"] == RULES.fingerprint
    assert said["fingerprint"] == part.fingerprint


def test_a_folder_is_ingested_part_by_part_and_only_once(tmp_path: Path) -> None:
    source, lake = tmp_path / "in", tmp_path / "lake"
    (source / "2013").mkdir(parents=True)
    write(source, "a.csv")
    write(source / "2013", "b.parquet")
    (source / "notes.txt").write_text("no table")
    first = list(ingest(str(source), str(lake), rules=RULES))
    assert [part.part for part in first] == ["2013/b.parquet", "a.csv"]
    before = files(lake)
    write(source, "c.jsonl")
    second = list(ingest(str(source), str(lake), rules=RULES))
    assert [(part.part, part.new) for part in second] == [
        ("2013/b.parquet", False),
        ("a.csv", False),
        ("c.jsonl", True),
    ]
    after = files(lake)
    assert before.items() <= after.items()
    assert sum(part.rows for part in ingested(str(lake))) == 6
    # The same rows in another order and format are the same content.
    assert len({part.fingerprint for part in second}) == 1


def test_other_content_under_a_known_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv")
    lake = str(tmp_path / "lake")
    list(ingest(str(path), lake))
    path.write_text("x,s\n9,z\n")
    with pytest.raises(InputError, match=r"t\.csv was ingested .* with other content"):
        list(ingest(str(path), lake))


def test_files_are_cut_at_their_number_of_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(25)}), tmp_path / "t.parquet")
    (part,) = ingest(str(tmp_path / "t.parquet"), str(tmp_path / "lake"), rows_per_file=10)
    assert list(part.files.values()) == [10, 10, 5]
    assert part.report is None
    read = [pq.read_table(tmp_path / "lake" / key)["x"].to_pylist() for key in sorted(part.files)]
    assert functools.reduce(operator.iadd, read, []) == list(range(25))
    with pytest.raises(InputError, match="use 1 or more"):
        list(ingest(str(tmp_path / "t.parquet"), str(tmp_path / "lake"), rows_per_file=0))


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    pq.write_table(TABLE.schema.empty_table(), tmp_path / "t.parquet")
    (part,) = ingest(str(tmp_path / "t.parquet"), str(tmp_path / "lake"), rules=RULES)
    (key,) = part.files
    assert pq.read_table(tmp_path / "lake" / key).schema.names == ["x", "s"]


@pytest.mark.parametrize(
    ("rules", "refuse"),
    [(Rules(aggregate("mean", "x", low=100, name="mean")), False), (RULES, True)],
)
def test_a_part_that_is_refused_leaves_nothing(tmp_path: Path, rules: Rules, refuse: bool) -> None:
    lake = tmp_path / "lake"
    with pytest.raises(DataError, match=r"t\.csv is refused: failed") as caught:
        list(ingest(str(write(tmp_path, "t.csv")), str(lake), rules=rules, refuse=refuse))
    assert caught.value.report is not None
    assert not lake.exists() or files(lake) == {}


@pytest.mark.parametrize(
    "checked", [RULES, Rules(unique("x", name="once"))], ids=["rows", "unique"]
)
def test_a_killed_run_ends_in_the_same_files(tmp_path: Path, checked: Rules) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(12):
        rows = pa.table({"x": range(number, 40_000 + number), "s": ["a"] * 40_000})
        pq.write_table(rows, source / f"{number:02}.parquet")
    rules = tmp_path / "rules.json"
    checked.save(rules)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "tidegate.cli", "ingest", str(source)]
    options = ["--rules", str(rules), "--rows-per-file", "7000"]
    subprocess.run([*command, str(whole), *options], check=True, capture_output=True, timeout=120)
    expected = files(whole)
    for _ in range(3):
        process = subprocess.Popen(
            [*command, str(killed), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = count(killed)
        # Something new is there, and in all likelihood something is on its way.
        while process.poll() is None and count(killed) <= before + 3:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, str(killed), *options], check=True, capture_output=True, timeout=120)
    # What a killed put has left aside is swept by a later one; it stands under no key.
    left = {name: sha for name, sha in files(killed).items() if not name.startswith(".")}
    expected = {name: sha for name, sha in expected.items() if not name.startswith(".")}
    assert left == expected


def quarantined(lake: Path, part: Ingested) -> list[dict[str, object]]:
    tables = [pq.read_table(lake / key).to_pylist() for key in part.quarantined]
    return [row for rows in tables for row in rows]


def test_unique_holds_across_parts(tmp_path: Path) -> None:
    source, lake = tmp_path / "in", tmp_path / "lake"
    source.mkdir()
    rules = Rules(unique("x", "s", name="once"), in_range("x", high=90, name="small"))
    parts = {"a": [1, 2, 2, 99], "b": [2, 3, 99, 4], "c": [4, 5, 1, 5]}
    for name, values in parts.items():
        pq.write_table(pa.table({"x": values, "s": ["s"] * 4}), source / f"{name}.parquet")
    found = list(ingest(str(source), str(lake), rules=rules))
    good = {
        part.part[0]: [x for key in part.files for x in pq.read_table(lake / key)["x"].to_pylist()]
        for part in found
    }
    # 99 was never let in, so it breaks its own rule only.
    assert good == {"a": [1, 2], "b": [3, 4], "c": [5]}
    bad = [[(row["_row"], row["_broken_rules"]) for row in quarantined(lake, p)] for p in found]
    assert bad == [
        [(2, "once"), (3, "small")],
        [(0, "once"), (2, "small")],
        [(0, "once"), (2, "once"), (3, "once")],
    ]
    assert [part.report is not None and part.report.passed for part in found] == [False] * 3
    # Another rule than those of earlier parts: its keys are made of what was written.
    pq.write_table(pa.table({"x": [5, 6], "s": ["t", "t"]}), source / "d.parquet")
    *_, last = ingest(str(source), str(lake), rules=Rules(unique("x", name="x once")))
    assert [(row["x"], row["_broken_rules"]) for row in quarantined(lake, last)] == [(5, "x once")]
    assert last.rows == 1
    assert [part.part for part in ingested(str(lake))] == [f"{name}.parquet" for name in "abcd"]


def repeated(column: list[int], seen: set[int]) -> list[int]:
    """Which rows repeat an earlier one or one that was seen before; now all are."""
    bad = []
    for row, value in enumerate(column):
        if value in seen:
            bad.append(row)
        seen.add(value)
    return bad


def test_keys_beyond_their_memory_are_told_apart_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    rules = Rules(unique("x", name="once"), unique("x", "s", name="pair"))
    # Some hundred keys fit where there are tens of thousands, many of them again and again.
    values = {
        "a": [row * row % 90_001 for row in range(100_000)] + [7] * 5_000,
        "b": [row * 3 for row in range(60_000)],
        "c": [1] * 100,
    }
    for name, column in values.items():
        table = pa.table({"x": column, "s": ["s"] * len(column)})
        pq.write_table(table, source / f"{name}.parquet", row_group_size=30_000)
    found = {}
    seen: set[int] = set()
    for folder, memory, keys in (("usual", None, None), ("tiny", 0, 1_000)):
        if memory is not None and keys is not None:
            monkeypatch.setattr("tidegate.validation.seen.KEY_BYTES", memory)
            monkeypatch.setattr("tidegate.validation.seen.KEYS_PER_FILE", keys)
        lake = tmp_path / folder
        parts = list(ingest(str(source), str(lake), rules=rules, rows_per_file=20_000))
        found[folder] = [
            ([row["_row"] for row in quarantined(lake, part)], part.fingerprint) for part in parts
        ]
        seen.clear()
        for part, column in zip(parts, values.values(), strict=True):
            bad = repeated(column, seen)
            assert [row["_row"] for row in quarantined(lake, part)] == bad
            assert part.report is not None
            for name in ("once", "pair"):
                assert part.report[name].failures == len(bad)
                shown = [(row.row, row.values["x"]) for row in part.report[name].rows]
                assert shown == [(row, column[row]) for row in bad[:5]]
        assert sum(part.rows for part in parts) == len(seen)
    assert found["usual"] == found["tiny"]
    names = list((tmp_path / "tiny" / "_keys").iterdir())
    assert len(names) > 2 * 60
    assert sum(path.stat().st_size for path in names) == 2 * 16 * len(seen)
    assert len(list((tmp_path / "usual" / "_keys").iterdir())) == 2 * 3
    # Another rule: keys are made of what was written, of several files.
    pq.write_table(pa.table({"x": [3, -3], "s": ["s", "s"]}), source / "d.parquet")
    *_, last = ingest(str(source), str(tmp_path / "tiny"), rules=Rules(unique("s", name="text")))
    assert (last.rows, last.bad_rows) == (0, 2)


def test_keys_that_were_damaged_are_refused(tmp_path: Path) -> None:
    source, lake = tmp_path / "in", tmp_path / "lake"
    source.mkdir()
    rules = Rules(unique("x", name="once"))
    for name in "ab":
        pq.write_table(pa.table({"x": [1, 2, 3]}), source / f"{name}.parquet")
    list(ingest(str(source / "a.parquet"), str(lake), rules=rules))
    (keys,) = (lake / "_keys").iterdir()
    whole = keys.read_bytes()
    turned = whole[16:] + whole[:16]
    for damaged, message in ((whole[:20], "ends within a key"), (turned, "not in order")):
        keys.write_bytes(damaged)
        with pytest.raises(StateError, match=rf"{keys.name}.*{message}.*delete it"):
            list(ingest(str(source), str(lake), rules=rules))
    keys.unlink()
    *_, last = ingest(str(source), str(lake), rules=rules)
    assert (last.rows, last.bad_rows) == (0, 3)


def test_rows_to_blame_for_the_whole_are_quarantined(tmp_path: Path) -> None:
    values = [float(row % 10) for row in range(200)] + [1e6, -1e6]
    pq.write_table(pa.table({"x": values}), tmp_path / "t.parquet")
    source = str(tmp_path / "t.parquet")
    for name, checked in {
        "iqr": outliers("x", "iqr", name="far"),
        "max": aggregate("max", "x", high=9, name="far"),
        "min": aggregate("min", "x", low=0, name="far"),
    }.items():
        lake = tmp_path / name
        (part,) = ingest(source, str(lake), rules=Rules(checked))
        rows = [row["x"] for row in quarantined(lake, part)]
        assert rows == {"iqr": [1e6, -1e6], "max": [1e6], "min": [-1e6]}[name]
        assert part.rows == 202 - len(rows)
    mean = Rules(aggregate("mean", "x", low=100, name="mean"), rule(col("x") < 1e5, name="small"))
    with pytest.raises(DataError, match="is refused"):
        list(ingest(source, str(tmp_path / "mean"), rules=mean))
    (part,) = ingest(source, str(tmp_path / "mean"), rules=mean, whole="pass")
    assert part.report is not None
    assert not part.report.passed
    assert (part.rows, part.bad_rows) == (201, 1)
    # That the least value is too large is no row's doing.
    least = Rules(aggregate("min", "x", high=-1e7, name="least"))
    with pytest.raises(DataError, match="is refused"):
        list(ingest(source, str(tmp_path / "least"), rules=least))


def test_a_query_is_a_part(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS x, 'a' AS s FROM range(5)")
    address = f"duckdb:{path}?SELECT * FROM t WHERE x > 1 ORDER BY x"
    lake = str(tmp_path / "lake")
    (part,) = ingest(address, lake, rules=RULES)
    assert part.rows == 3
    assert part.new
    assert not next(iter(ingest(address, lake, rules=RULES))).new
    with pytest.raises(BackendError, match="the query failed"):
        open_source(f"duckdb:{path}?SELECT * FROM nothing").read()


def test_a_query_over_adbc(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (x INTEGER, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (-1, "b")])
    source = open_source(f"adbc:sqlite,{path}?SELECT * FROM t ORDER BY x")
    assert pa.table(source.read()).to_pylist() == [{"x": -1, "s": "b"}, {"x": 1, "s": "a"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"x", "is no table by its name"),
        ("t.parquet", b"PAR1 and nothing else", "cannot be read"),
        ("t.arrow", b"ARROW1 and nothing else", "cannot be read"),
        ("t.csv", b"x,y\n1\n", "cannot be read"),
        ("t.jsonl", b'{"x": 1}\n{"x": ', "cannot be read"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(ingest(str(tmp_path / name), str(tmp_path / "lake")))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no table at"):
        open_source(str(tmp_path / "nothing.csv"))
    with pytest.raises(NotFoundError, match="holds no file"):
        open_source(str(tmp_path))
    with pytest.raises(InputError, match="DRIVER,URI"):
        open_source("adbc:sqlite?SELECT 1").read()


def test_records_of_a_later_version_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv")
    lake = tmp_path / "lake"
    (part,) = ingest(str(path), str(lake))
    record = lake / part.record
    document = json.loads(record.read_text())
    record.write_text(json.dumps({**document, "version": 1}))
    assert [part.new for part in ingest(str(path), str(lake))] == [False]
    record.write_text(json.dumps({**document, "version": 3}))
    with pytest.raises(StateError, match="upgrade tidegate"):
        list(ingest(str(path), str(lake)))
    record.write_text("{")
    with pytest.raises(StateError, match="no record of an ingestion"):
        ingested(str(lake))


def test_object_storage_is_a_source_and_a_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        # Real stores need no such settings: their addresses and keys are the environment's.
        local = partial(
            open_store,
            endpoint=f"http://{host}:{port}",
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
        )
        monkeypatch.setattr("tidegate.storage.open_store", local)
        monkeypatch.setattr("tidegate.validation.ingestion.open_store", local)
        creation = urllib.request.Request(f"http://{host}:{port}/flights", method="PUT")
        with urllib.request.urlopen(creation, timeout=30) as answer:
            assert answer.status == 200
        inbox = local("s3://flights/in")
        inbox.create("2013/a.csv", write(tmp_path, "t.csv").read_bytes())
        inbox.create("b.parquet", write(tmp_path, "t.parquet").read_bytes())
        for new in (True, False):
            parts = list(ingest("s3://flights/in", "s3://flights/lake", rules=RULES))
            assert [(part.part, part.rows, part.new) for part in parts] == [
                ("2013/a.csv", 2, new),
                ("b.parquet", 2, new),
            ]
        one = open_source("s3://flights/in/b.parquet")
        assert pa.table(one.read()).num_rows == 4
        keys = local("s3://flights/lake", read_only=True).keys("")
        assert len(keys) == 6
    finally:
        server.stop()
