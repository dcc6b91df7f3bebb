"""Bad input of watching, against a live server: each ends in a clear state, and serving goes on."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.faults.serving import serving
from tests.faults.test_process import clock

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.errors import StateError, StorageError
from tidegate.monitoring import Baseline, DriftReport, Watching
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.incidents import Book
from tidegate.monitoring.snapshots import Snapshots, SnapshotWriter
from tidegate.registry import Bundle
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings
from tidegate.storage import FolderStore

__all__ = ["clock"]

PREDICT = "/v1/models/tiny:predict"
FEEDBACK = "/v1/models/tiny:feedback"
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
ROW = {"x": 1.25, "colour": "red"}
BUSY = {
    "name": "busy",
    "kind": "threshold",
    "signal": "rows_per_second",
    "above": 0.0001,
    "over": "1h",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def runtime(bundle: Bundle) -> Iterator[Runtime]:
    with Runtime(watching=Watching(rows=1_000)) as runtime:
        runtime.deploy(bundle)
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx.Client]:
    with (
        Server(runtime, Settings(port=0)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def send(client: httpx.Client, rows: list[dict[str, Any]], query: str = "") -> dict[str, Any]:
    reply = client.post(PREDICT + query, json={"instances": rows})
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    assert len(answer["predictions"]) == len(rows)
    return answer


def drift(client: httpx.Client) -> DriftReport:
    reply = client.get("/v1/models/tiny/drift")
    assert reply.status_code == 200, reply.text
    return DriftReport.from_json(reply.content)


def usual(rows: int, seed: int) -> list[dict[str, Any]]:
    return tiny_table(rows, seed=seed).select("x", "colour").to_dicts()


def test_without_a_baseline(runtime: Runtime, client: httpx.Client, tmp_path: Path) -> None:
    full = tiny_bundle(tmp_path / "full", version="2.0.0")
    bare = altered(full, tmp_path / "bare", None)
    runtime.deploy(bare)
    assert send(client, [ROW])["model_version"] == "2.0.0"
    reply = client.get("/v1/models/tiny/drift")
    assert reply.status_code == 404
    assert "its bundle has no baseline" in reply.json()["error"]
    assert 'tidegate_requests_total{model="tiny",version="2.0.0",outcome="ok"} 1' in (
        client.get("/metrics").text
    )
    # An incident says what it could not have.
    watch = Watch(Alerts(storage=str(tmp_path / "alerts"), rules=(BUSY,)), runtime)
    watch.look()
    send(client, [ROW])
    watch.look()
    records = watch.incident(watch.incidents()[0]["id"])["records"]
    absent = next(record for record in records if record["type"] == "evidence")["absent"]
    assert "no baseline" in absent["drift of tiny"]
    watch.close()


def test_with_the_baseline_of_another_schema(
    runtime: Runtime, client: httpx.Client, bundle: Bundle, tmp_path: Path
) -> None:
    others = {
        "another column": pl.DataFrame({"y": [1.0, 2.0]}),
        "another type": tiny_table().select("colour", "at", x=pl.lit("text")),
        "one column less": tiny_table().select("x", "colour"),
    }
    for name, table in others.items():
        wrong = altered(bundle, tmp_path / name, Baseline(table).to_json())
        with pytest.raises(StateError, match=r"other columns than schema.json: build the bundle"):
            runtime.deploy(wrong)
    # The text of a baseline that was cut off, whatever its digest says.
    text = (bundle.path / "baseline.json").read_text()
    with pytest.raises(StateError, match="not a baseline"):
        runtime.deploy(altered(bundle, tmp_path / "cut", text[: len(text) // 2]))
    # What was served goes on being served, and watched.
    send(client, [ROW])
    assert [window.rows for window in drift(client).windows] == [1]


def altered(bundle: Bundle, folder: Path, baseline: str | None) -> Path:
    """A copy whose baseline is another, or none, and whose manifest says so."""
    shutil.copytree(bundle.path, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    if baseline is None:
        (folder / "baseline.json").unlink()
        del manifest["files"]["baseline.json"]
    else:
        data = baseline.encode()
        (folder / "baseline.json").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        manifest["files"]["baseline.json"] = {"sha256": digest, "size": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_feature_that_is_all_null_then_constant(client: httpx.Client) -> None:
    # A column that is all missing, two windows of it.
    for seed in (1, 2):
        send(client, [{**row, "x": None} for row in usual(1_000, seed)])
    report = drift(client)
    column = report.windows[-1].column("x")
    assert (column.missing.live, column.level) == (1.0, "major")
    assert column.moments is not None
    assert column.moments.live.mean is None
    assert report.alarms is not None
    assert "x" in [alarm.name for alarm in report.alarms.raised]
    # And one that is always the same.
    send(client, [{**row, "x": 0.5} for row in usual(1_000, 3)])
    column = drift(client).windows[-1].column("x")
    assert column.moments is not None
    assert (column.moments.live.mean, column.moments.live.std) == (0.5, 0.0)
    assert sorted(cell.live for cell in column.cells)[-2:] == [0, 1_000]
    # Figures that do not exist are null and no NaN, which is no JSON.
    assert b"NaN" not in client.get("/v1/models/tiny/drift").content
    page = client.get("/metrics").text
    assert 'tidegate_drift_alarm{model="tiny",version="1.0.0",column="x",role="feature"} 1' in page


def test_a_feature_that_appears_or_vanishes(client: httpx.Client) -> None:
    appeared = [{**row, "weight": 3} for row in usual(1_000, 1)]
    reply = client.post(PREDICT, json={"instances": appeared})
    assert reply.status_code == 400
    assert 'unknown column "weight"' in reply.json()["error"]
    assert drift(client).windows == ()
    send(client, appeared, "?extra=ignore")
    (window,) = drift(client).windows
    assert {column.name for column in window.columns} >= {"x", "colour", "at"}
    assert "weight" not in {column.name for column in window.columns}
    # A nullable one that is sent no more is missing; one that must be there is refused by name.
    send(client, [{"colour": row["colour"]} for row in usual(1_000, 2)])
    assert drift(client).windows[-1].column("x").missing.live == 1.0
    reply = client.post(PREDICT, json={"instances": [{"x": 1.0}]})
    assert reply.status_code == 400
    assert 'column "colour" is missing' in reply.json()["error"]
    assert sum(window.rows for window in drift(client).windows) == 2_000


def test_labels_that_are_none(client: httpx.Client) -> None:
    answer = send(client, [ROW] * 6)
    ids = [f"{answer['prediction_id']}/{row}" for row in range(6)]
    right = answer["predictions"][0]["label"]

    def stream(labels: pa.Array) -> bytes:
        table = pa.table({"prediction_id": ids[: len(labels)], "label": labels})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def taken(reply: httpx.Response) -> dict[str, int]:
        assert reply.status_code == 200, reply.text
        return {name: count for name, count in reply.json()["labels"].items() if count}

    # A model of classes has none that is infinite.
    nan = stream(pa.array([np.nan, np.inf, None], pa.float64()))
    assert taken(client.post(FEEDBACK, content=nan, headers=ARROW)) == {
        "missing": 2,
        "mismatched": 1,
    }
    texts = stream(pa.array(["late", "1", None]))
    mismatched = taken(client.post(FEEDBACK, content=texts, headers=ARROW))
    assert mismatched == {"mismatched": 2, "missing": 1}
    entries: list[dict[str, Any]] = [
        {"prediction_id": ids[0], "label": None},
        {"prediction_id": ids[0], "label": 7},
        {"prediction_id": ids[0], "label": 0.5},
        {"prediction_id": "f" * 24 + "/0", "label": 1},
        {"prediction_id": f"{answer['prediction_id']}/6", "label": 1},
        {"prediction_id": "nonsense", "label": 1},
        {"prediction_id": ids[5], "label": right},
    ]
    found = taken(client.post(FEEDBACK, json={"feedback": entries}))
    assert found == {"missing": 1, "mismatched": 2, "unknown": 2, "malformed": 1, "joined": 1}
    # JSON has no NaN.
    body = b'{"feedback":[{"prediction_id":"%s","label":NaN}]}' % ids[1].encode()
    assert client.post(FEEDBACK, content=body).status_code == 400
    # None of it has become a figure, and what it was sent for can still be labelled.
    total = client.get("/v1/models/tiny/quality").json()["versions"][0]["total"]
    assert (total["predictions"], total["labelled"]) == (6, 1)
    assert total["measures"]["accuracy"]["value"] == 1.0
    again = [{"prediction_id": name, "label": right} for name in ids]
    done = taken(client.post(FEEDBACK, json={"feedback": again}))
    assert done == {"joined": 5, "duplicate": 1}


def test_a_clock_that_goes_back(bundle: Bundle, clock: Path, tmp_path: Path) -> None:
    """Rows are counted once, windows stay in order, and labels still meet their predictions."""
    moved = tmp_path / "moved"
    moved.write_text("0")
    environment = {"LD_PRELOAD": str(clock), "TIDEGATE_TEST_CLOCK": str(moved)}
    options = ("--window-seconds", "60", "--set", "runtime.quality_seconds=60")
    with serving(tmp_path, bundle.path, *options, environment=environment) as server:
        ids, sent = [], 0
        body = json.dumps({"instances": usual(50, 1)}).encode()
        for jump in (0, 600, -86_400, -86_000, 700, 0, -10):
            moved.write_text(str(jump))
            status, answer = server.ask("POST", PREDICT, body)
            assert (status, len(answer["predictions"])) == (200, 50)
            ids.append(answer["prediction_id"])
            sent += 50
            status, report = server.ask("GET", "/v1/models/tiny/drift")
            assert status == 200
            assert sum(window["rows"] for window in report["windows"]) == sent
            starts = [window["start"] for window in report["windows"]]
            assert starts == sorted(starts)
            assert all(window["start"] <= window["end"] for window in report["windows"])
        entries = [
            {"prediction_id": f"{name}/{row}", "label": 1} for name in ids for row in range(50)
        ]
        _, taken = server.ask("POST", FEEDBACK, json.dumps({"feedback": entries}).encode())
        assert taken["labels"]["joined"] == sent
        _, quality = server.ask("GET", "/v1/models/tiny/quality")
        total = quality["versions"][0]["total"]
        assert (total["predictions"], total["labelled"]) == (sent, sent)


class Unreachable(FolderStore):
    """A store that cannot be reached while it is told so."""

    away = False

    def children(self, prefix: str = "") -> list[str]:
        self._look()
        return super().children(prefix)

    def _create(self, key: str, data: bytes) -> None:
        self._look()
        super()._create(key, data)

    def _get(self, key: str, limit: int) -> bytes | None:
        self._look()
        return super()._get(key, limit)

    def _look(self) -> None:
        if self.away:
            raise StorageError("the store cannot be reached")


def test_snapshots_that_cannot_be_read(bundle: Bundle, tmp_path: Path) -> None:
    """One of a later format, a damaged one, one of another build: named, and left out."""
    store = FolderStore(tmp_path / "shared")
    watching = Watching(rows=1 << 40, seconds=3_600, aligned=True)
    with Runtime(watching=watching) as runtime:
        runtime.deploy(bundle)
        writer = SnapshotWriter(store, runtime.watched, every=3_600)
        with (
            Server(runtime, Settings(port=0), snapshots=writer) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            send(client, usual(40, 1))
            ((_, version, text),) = runtime.watched()
            document = json.loads(text)
            wrong = {
                "later": {**document, "version": 9, "more": 1},
                "damaged": {**document, "windows": [{**document["windows"][0], "rows": 41}]},
                "other": {**document, "baseline": "0" * 16},
                "strange": {"a": 1},
            }
            snapshots = Snapshots(store, "tiny", version)
            for replica, found in wrong.items():
                snapshots.write(replica, 1, json.dumps(found))
            snapshots.write("cut", 1, text[: len(text) // 2])
            snapshots.write("bytes", 1, "\x00")
            snapshots.write("good", 1, text)
            reply = client.get("/v1/replicas/tiny/drift")
            assert reply.status_code == 200, reply.text
            answer = reply.json()
            # The good one's rows and one's own.
            assert answer["replicas"] == 2
            assert sum(window["rows"] for window in answer["report"]["windows"]) == 80
            faults = sorted(answer["faults"])
            assert len(faults) == 6
            for part in ("upgrade tidegate", "damaged", "another baseline", "not a snapshot"):
                assert any(part in fault for fault in faults), (part, faults)
            send(client, [ROW])


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = time.time()

    def now(self) -> float:
        return self.time

    def at_least(self, time: float) -> None:
        self.time = max(self.time, time)


def test_the_store_is_away_for_an_hour(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty snapshots of a minute each fail, and an incident opens; serving goes on, and all of it is
    in the store once that is back."""
    store, hands = Unreachable(tmp_path / "shared"), Hands()
    monkeypatch.setattr("tidegate.monitoring.alerts.watch.open_store", lambda _: store)
    alerts = Alerts(storage="shared", rules=(BUSY,))
    with Runtime(watching=Watching(rows=50)) as runtime:
        runtime.deploy(bundle)
        writer = SnapshotWriter(store, runtime.watched, every=3_600)
        watch = Watch(alerts, runtime, clock=hands)  # type: ignore[arg-type]
        with (
            Server(runtime, Settings(port=0), snapshots=writer) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            assert writer.write()
            watch.look()
            store.away = True
            for minute in range(60):
                hands.time += 60.0
                send(client, usual(25, minute))
                assert not writer.write()
                watch.look()
            assert watch.alerts()["problem"] is not None
            [incident] = watch.incidents()
            state = writer.state
            assert (state["failed"], state["fault"]) == (60, "the store cannot be reached")
            reply = client.get("/v1/replicas/tiny/drift")
            assert reply.status_code == 503, reply.text
            assert sum(window.rows for window in drift(client).windows) == 60 * 25
            store.away = False
            hands.time += 60.0
            assert writer.write()
            watch.look()
            assert writer.state["fault"] is None
        watch.close()
    # Another replica finds every window of the hour, and what was known when the incident opened.
    records = Book(store).read(incident["id"])
    assert "evidence" in [record["type"] for record in records]
    with Runtime(watching=Watching(rows=50)) as other:
        other.deploy(bundle)
        merged = other.merged_drift("tiny", store)
    assert merged.faults == ()
    assert sum(window.rows for window in merged.report.windows) == 60 * 25
