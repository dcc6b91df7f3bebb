"""Replicas that write snapshots report as one, whatever the store does."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.storage.conftest import s3_endpoint
from tests.storage.conftest import store as any_store

from tidegate.errors import AlreadyExistsError, InputError, StateError, StorageError
from tidegate.monitoring import Baseline, Monitor, Watching
from tidegate.monitoring.snapshots import KEPT, Snapshots, SnapshotWriter
from tidegate.storage import FolderStore, Store

__all__ = ["any_store", "s3_endpoint"]

WATCHING = Watching(rows=1 << 40, seconds=10, aligned=True)


def table(seed: int, rows: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {"x": rng.normal(shift, 1.0, rows), "colour": rng.choice(["red", "blue", "grey"], rows)}
    )


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return Baseline(table(0, 20_000))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


class Failing(FolderStore):
    """A store that cannot be reached for a while."""

    away = False

    def _create(self, key: str, data: bytes) -> None:
        if self.away:
            raise StorageError("the store cannot be reached")
        super()._create(key, data)


def test_replicas_report_as_one(baseline: Baseline, any_store: Store) -> None:
    one = Monitor(baseline, watching=WATCHING, now=0.0)
    replicas = {name: Monitor(baseline, watching=WATCHING, now=0.0) for name in ("a", "b", "c")}
    snapshots = Snapshots(any_store, "flights", "1.0.0")
    for step in range(30):
        rows, now = table(step + 1, 400, 0.6 if step > 12 else 0.0), 3.0 * step
        name = "abc"[step % 3]
        for monitor in (one, replicas[name]):
            monitor.observe(rows, now=now)
        snapshots.write(name, step // 3 + 1, replicas[name].snapshot(now=now))
    for name, monitor in replicas.items():
        snapshots.write(name, 99, monitor.snapshot(now=90.0))
    newest = snapshots.newest()
    assert sorted(newest) == ["a", "b", "c"]
    alone = one.report(now=90.0)
    together = Monitor.merged(baseline, list(newest.values()), watching=WATCHING).report(now=90.0)
    assert [w.rows for w in together.windows] == [w.rows for w in alone.windows]
    for left, right in zip(alone.windows, together.windows, strict=True):
        assert left.column("x").psi == right.column("x").psi
        assert left.column("x").cells == right.column("x").cells
    assert alone.alarms is not None
    assert together.alarms is not None
    assert [a.log_e for a in alone.alarms.columns] == [a.log_e for a in together.alarms.columns]
    assert [a.name for a in together.alarms.raised] == ["x"]


def test_old_snapshots_are_removed(store: FolderStore) -> None:
    snapshots = Snapshots(store, "flights", "1.0.0")
    for number in range(1, 8):
        snapshots.write("a", number, f'{{"number":{number}}}')
    assert len(store.keys("watching/")) == KEPT
    assert snapshots.newest() == {"a": '{"number":7}'}
    with pytest.raises(AlreadyExistsError):
        snapshots.write("a", 7, '{"number":0}')


def test_a_snapshot_that_was_cut_off_is_replaced_by_the_one_before(
    baseline: Baseline, store: FolderStore
) -> None:
    monitor = Monitor(baseline, watching=WATCHING, now=0.0)
    monitor.observe(table(1, 100), now=1.0)
    snapshots = Snapshots(store, "flights", "1.0.0")
    text = monitor.snapshot(now=2.0)
    snapshots.write("a", 1, text)
    snapshots.write("a", 2, text[: len(text) // 2])
    snapshots.write("b", 1, "\x00\x01")
    newest = snapshots.newest()
    assert newest["a"] == text
    merged = Monitor.merged(baseline, [newest["a"]], watching=WATCHING)
    assert merged.report(now=2.0).windows[0].rows == 100
    with pytest.raises(StateError, match="not a snapshot"):
        Monitor.merged(baseline, [newest["b"]])
    other = Baseline(table(5, 100))
    with pytest.raises(StateError, match="another baseline"):
        Monitor.merged(other, [text])
    with pytest.raises(StateError, match="newer"):
        Monitor.merged(baseline, [text.replace('"version":1', '"version":7', 1)])


def test_nothing_is_lost_while_the_store_is_away(baseline: Baseline, tmp_path: Path) -> None:
    store = Failing(tmp_path / "store")
    monitor = Monitor(baseline, watching=WATCHING, now=0.0)
    clock = [0.0]
    writer = SnapshotWriter(
        store, lambda: [("flights", "1.0.0", monitor.snapshot(now=clock[0]))], replica="a"
    )
    # An hour of windows, most of it without the store.
    for step in range(40):
        clock[0] = 10.0 * step + 1.0
        monitor.observe(table(step, 50), now=clock[0])
        store.away = 5 <= step < 35
        assert writer.write() is not store.away
    assert writer.state["failed"] == 30
    assert writer.state["fault"] is None
    (text,) = Snapshots(store, "flights", "1.0.0").newest().values()
    windows = Monitor.merged(baseline, [text], watching=WATCHING).report(now=clock[0]).windows
    assert sum(window.rows for window in windows) == 40 * 50


def test_a_store_that_hangs_holds_up_nobody(baseline: Baseline, tmp_path: Path) -> None:
    hanging, entered = threading.Event(), threading.Event()

    class Hanging(FolderStore):
        def _create(self, key: str, data: bytes) -> None:
            entered.set()
            hanging.wait(60)
            super()._create(key, data)

    monitor = Monitor(baseline, now=0.0)
    writer = SnapshotWriter(
        Hanging(tmp_path / "store"),
        lambda: [("flights", "1.0.0", monitor.snapshot(now=1.0))],
        every=0.01,
    )
    writer.start()
    assert entered.wait(30)
    monitor.observe(table(1, 100), now=1.0)
    writer.close(patience=0.01)
    hanging.set()
    writer.close()
    assert writer.state["written"] is not None
    writer.close()


def test_impossible_times_are_refused(store: FolderStore) -> None:
    for every in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="positive"):
            SnapshotWriter(store, list, every=every)
