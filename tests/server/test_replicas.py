"""Servers that share a store report their drift as one."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.storage.conftest import s3_endpoint
from tests.storage.conftest import store as any_store

from tidegate.demo.tiny import tiny_bundle
from tidegate.errors import ConfigurationError
from tidegate.monitoring import DriftReport, Watching
from tidegate.monitoring.snapshots import SnapshotWriter
from tidegate.runtime import Runtime
from tidegate.server import Replicas, Server, Settings
from tidegate.storage import Store

__all__ = ["any_store", "s3_endpoint"]

WATCHING = Watching(rows=1 << 40, seconds=3_600, aligned=True)


def send(url: str, colour: str, rows: int) -> None:
    instances = [{"x": i / 10, "colour": colour} for i in range(rows)]
    reply = httpx.post(f"{url}/v1/models/tiny:predict", json={"instances": instances}, timeout=30)
    assert reply.status_code == 200, reply.text


def test_replicas_report_as_one_and_survive_an_end(tmp_path: Path) -> None:
    replicas = Replicas(location=str(tmp_path / "shared"), every=3_600)
    with Runtime(watching=WATCHING) as first, Runtime(watching=WATCHING) as second:
        for runtime in (first, second):
            runtime.deploy(tiny_bundle())
        with Server(first, Settings(port=0), snapshots=replicas.writer(first)) as server:
            send(server.url, "red", 70)
        # The first one has ended; what it saw is in its last snapshot.
        with Server(second, Settings(port=0), snapshots=replicas.writer(second)) as server:
            send(server.url, "green", 30)
            document = httpx.get(f"{server.url}/v1/replicas/tiny/drift", timeout=30).json()
            alone = httpx.get(f"{server.url}/v1/models/tiny/drift", timeout=30).text
            missing = httpx.get(f"{server.url}/v1/replicas/nobody/drift", timeout=30)
    assert (document["replicas"], document["faults"]) == (2, [])
    assert document["writer"]["failed"] == 0
    # Windows stand on the hour, and the test may run across one.
    rows = [window["rows"] for window in document["report"]["windows"]]
    assert sum(rows) == 100
    assert sum(window.rows for window in DriftReport.from_json(alone).windows) == 30
    assert missing.status_code == 404


def test_segments_of_replicas_add_up_in_any_store(any_store: Store) -> None:
    watching = Watching(rows=1 << 40, seconds=3_600, aligned=True, segment="colour")
    with Runtime(watching=watching) as first, Runtime(watching=watching) as second:
        for runtime in (first, second):
            runtime.deploy(tiny_bundle())
        ended = SnapshotWriter(any_store, first.watched, every=3_600)
        with Server(first, Settings(port=0), snapshots=ended) as server:
            send(server.url, "red", 70)
            send(server.url, "green", 5)
        here = SnapshotWriter(any_store, second.watched, every=3_600)
        with Server(second, Settings(port=0), snapshots=here) as server:
            send(server.url, "red", 30)
            together = f"{server.url}/v1/replicas/tiny/drift"
            red = httpx.get(together, params={"segment": "red"}, timeout=30).json()
            whole = httpx.get(together, timeout=30).json()
            unknown = httpx.get(together, params={"segment": "mauve"}, timeout=30)
            alone = httpx.get(
                f"{server.url}/v1/models/tiny/drift", params={"segment": "red"}, timeout=30
            )
    assert (red["replicas"], red["faults"]) == (2, [])
    rows = [window["rows"] for window in red["report"]["windows"]]
    assert sum(rows) == 100
    assert sum(window["rows"] for window in whole["report"]["windows"]) == 105
    assert whole["report"]["segments"]["column"] == "colour"
    assert sum(window.rows for window in DriftReport.from_json(alone.text).windows) == 30
    assert unknown.status_code == 404
    assert "green" in unknown.json()["error"]


def test_another_version_is_a_reference(tmp_path: Path) -> None:
    from tidegate.errors import InputError, NotFoundError
    from tidegate.registry import Registry

    registry = Registry(tmp_path / "registry")
    registry.publish(tiny_bundle(), alias="champion")
    with Runtime(registry) as runtime:
        runtime.deploy("tiny@champion", watching=Watching(reference="1.0.0", tolerance=0.2))
        report = runtime.drift("tiny")
        assert report.alarms is not None
        assert report.alarms.tolerance == 0.2
        # What was said stays with the name.
        runtime.deploy("tiny@champion")
        assert runtime.drift("tiny").alarms == report.alarms
        with pytest.raises(NotFoundError):
            runtime.deploy("tiny@champion", watching=Watching(reference="9.9.9"))
        with pytest.raises(InputError, match="alpha"):
            runtime.deploy("tiny@champion", watching=Watching(alpha=2.0, reference="baseline"))
        runtime.deploy("tiny@champion", watching=Watching(reference="trailing:3"))
        assert runtime.drift("tiny").reference == "trailing:3"
    with pytest.raises(InputError, match="for all models"):
        Runtime(watching=Watching(reference="1.0.0"))
    with pytest.raises(InputError, match="trailing:N"):
        Watching(reference="trailing")
    with pytest.raises(ConfigurationError, match="above 0"):
        Replicas(every=0)
