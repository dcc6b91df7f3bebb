"""What one replica does at each look, and what it says of itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.routing.faulty import Shared, View
from tests.routing.replica import STRATEGY, Decision, Versions, onward

from tidegate.errors import IntegrityError, StorageError
from tidegate.routing import Revision
from tidegate.routing.board import Board
from tidegate.routing.control import Control
from tidegate.routing.follower import CHECK_SECONDS, Follower
from tidegate.routing.toml import Plan
from tidegate.storage import FolderStore, Store
from tidegate.storage import store as store_module

WHO: dict[str, Any] = {"actor": "ann", "reason": "because"}


class Serving:
    """Remembers what it is told to serve; some versions cannot be loaded."""

    def __init__(self) -> None:
        self.served: list[int] = []
        self.broken: dict[str, Exception] = {}
        self.switched = threading.Event()

    def switch(self, revision: Revision) -> None:
        for version, _ in revision.routing.models:
            if version in self.broken:
                raise self.broken[version]
        self.served.append(revision.number)
        self.switched.set()

    def samples(self, revision: Revision) -> str | None:
        return f'{{"revision":{revision.number}}}'


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def follower(
    store: Store, serving: Serving, clock: Callable[[], float], name: str = "a", **more: Any
) -> Follower:
    return Follower(
        store,
        "m",
        serving,
        replica=name,
        clock=clock,
        wall=lambda: 1e9 + clock(),
        **{"lease": 8.0, "publish": 0.5, **more},
    )


def test_what_is_new_is_taken_once(tmp_path: Path) -> None:
    store, serving, clock = FolderStore(tmp_path), Serving(), Clock()
    control = Control(store, "m", Versions())
    replica = follower(store, serving, clock)
    assert (replica.turn().seen, replica.turn().live) == (0, 0)
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    for _ in range(2):
        replica.turn()
    state = replica.turn()
    assert (state.seen, state.live, state.refused, state.fault) == (2, 2, None, None)
    assert serving.served == [2]
    control.abort(**WHO)
    control.start(Plan("m", "1.2.0", STRATEGY), **WHO)
    # What was skipped need not be served.
    assert replica.turn().live == 4
    assert serving.served == [2, 4]


def test_what_cannot_be_loaded_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    store, serving, clock = FolderStore(tmp_path), Serving(), Clock()
    serving.broken["1.1.0"] = IntegrityError("model.onnx was changed")
    control = Control(store, "m", Versions())
    control.start(Plan("m", arms=(("1.0.0", 100.0),)), **WHO)
    replica = follower(store, serving, clock)
    assert replica.turn().live == 1
    started = control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    for _ in range(2):
        replica.turn()
    state = replica.turn()
    assert (state.seen, state.live) == (2, 1)
    assert state.refused == (2, "model.onnx was changed")
    # The others hear of it.
    assert Board(store, "m", "b").refusals(started.number) == {"a": "model.onnx was changed"}
    control.abort(**WHO)
    state = replica.turn()
    assert (state.live, state.refused) == (3, None)
    # One that starts takes what can be served.
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    late = follower(store, serving, clock, "c").turn()
    assert (late.seen, late.live) == (4, 3)
    assert late.refused is not None


def test_a_bundle_out_of_reach_is_tried_again(tmp_path: Path) -> None:
    store, serving, clock = FolderStore(tmp_path), Serving(), Clock()
    serving.broken["1.1.0"] = StorageError("no answer")
    control = Control(store, "m", Versions())
    control.start(Plan("m", arms=(("1.0.0", 100.0),)), **WHO)
    replica = follower(store, serving, clock)
    replica.turn()
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    state = replica.turn()
    assert (state.live, state.refused, state.fault) == (1, None, "no answer")
    serving.broken.clear()
    state = replica.turn()
    assert (state.live, state.fault) == (2, None)


def test_a_store_that_does_not_answer_changes_nothing_and_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "FIRST_PAUSE_SECONDS", 0.0)
    shared, serving, clock = Shared(), Serving(), Clock()
    view = View(shared)
    control = Control(View(shared), "m", Versions())
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    replica = follower(view, serving, clock, decide=onward)
    live = replica.turn().live
    before = control.verify().revisions
    assert live == before
    since = None
    for _ in range(3):
        clock.now += 100.0
        view.faults = ["cut"] * 1_000
        state = replica.turn()
        assert state.fault is not None
        since = since or state.since
        # Since when, and not each time anew.
        assert state.since == since == 1e9 + 100.0
        assert state.live == live
        assert not state.leads
    assert control.verify().revisions == before
    assert sum("cannot be followed for now" in line for line in caplog.messages) == 1
    view.heal()
    state = replica.turn()
    assert (state.fault, state.since) == (None, None)
    assert any("is followed again" in line for line in caplog.messages)


def test_a_history_that_vanishes_is_said(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store, serving, clock = FolderStore(root), Serving(), Clock()
    Control(store, "m", Versions()).start(Plan("m", arms=(("1.0.0", 100.0),)), **WHO)
    replica = follower(store, serving, clock)
    assert replica.turn().live == 1
    root.rename(tmp_path / "gone")
    clock.now += CHECK_SECONDS
    state = replica.turn()
    assert state.live == 1
    assert state.fault is not None
    assert "look whether the store is there" in state.fault
    (tmp_path / "gone").rename(root)
    assert replica.turn().fault is None


def test_whoever_holds_the_lease_decides_by_what_all_have_counted(tmp_path: Path) -> None:
    store, clock = FolderStore(tmp_path), Clock()
    heard: list[dict[str, str]] = []
    told: list[str] = []

    def decide(revision: Revision, samples: Mapping[str, str], now: float) -> Decision | None:
        heard.append(dict(samples))
        assert now == revision.time + clock.now
        return onward(revision, samples, now) if len(samples) == 2 else None

    replicas = [
        follower(
            *(store, Serving(), clock, name),
            decide=decide,
            told=lambda before, decision: told.append(f"{before.number} {decision.event}"),
        )
        for name in ("a", "b")
    ]
    control = Control(store, "m", Versions(), clock=lambda: 1e9)
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    states = [replica.turn() for replica in replicas]
    assert [state.leads for state in states] == [True, False]
    assert heard == [{"a": '{"revision":2}'}]
    clock.now = 0.5
    replicas[0].turn()
    assert heard[-1] == {"a": '{"revision":2}', "b": '{"revision":2}'}
    assert told == ["2 step"]
    newest = control.newest()
    assert newest is not None
    assert (newest.number, newest.actor, newest.token) == (3, "replica a", 1)
    # A rollout that is over needs no lease.
    control.abort(**WHO)
    assert not any(replica.turn().leads for replica in replicas)


def test_old_samples_are_removed(tmp_path: Path) -> None:
    store, clock = FolderStore(tmp_path), Clock()
    replica = follower(store, Serving(), clock, decide=onward)
    control = Control(store, "m", Versions())
    control.start(Plan("m", "1.1.0", STRATEGY), **WHO)
    for _ in range(20):
        clock.now += 1.0
        replica.turn()
    newest = replica.state.seen
    keys = store.keys("deployments/m/samples")
    revisions = {int(key.split("/")[3]) for key in keys}
    assert revisions
    assert min(revisions) >= newest - 2
    replica.close()


def test_a_thread_follows_and_can_be_woken(tmp_path: Path) -> None:
    store, serving = FolderStore(tmp_path), Serving()
    replica = Follower(store, "m", serving, replica="a", every=3_600.0)
    replica.start()
    Control(store, "m", Versions()).start(Plan("m", arms=(("1.0.0", 100.0),)), **WHO)
    replica.wake()
    assert serving.switched.wait(60)
    replica.close()
    replica.close()
    assert replica.state.live == 1


def test_a_bug_in_what_serves_is_a_refusal(tmp_path: Path) -> None:
    store, serving = FolderStore(tmp_path), Serving()
    serving.broken["1.0.0"] = ZeroDivisionError("oh")
    Control(store, "m", Versions()).start(Plan("m", arms=(("1.0.0", 100.0),)), **WHO)
    state = follower(store, serving, Clock()).turn()
    assert state.refused == (1, "a bug: ZeroDivisionError('oh')")
    assert state.live == 0
