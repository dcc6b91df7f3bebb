"""A runtime that follows its revisions: what is served, what is refused, and that nothing is lost."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tidegate.demo.tiny import tiny_bundle
from tidegate.errors import ConflictError, InputError, StateError, StorageError
from tidegate.registry import Registry
from tidegate.routing.settings import Follow
from tidegate.runtime import Runtime
from tidegate.storage import FolderStore

PATIENCE = 180.0
ROW = {"x": 1.0, "colour": "red"}
EVERYTHING = {"deployment": "tiny", "arms": [{"version": "1.0.0", "percent": 100}]}
HALF = {
    "deployment": "tiny",
    "candidate": "1.1.0",
    "strategy": {"kind": "canary", "steps": [{"percent": 50}]},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    registry = Registry(folder)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        registry.publish(tiny_bundle(version=version))
    registry.alias("tiny", "champion", version="1.0.0")
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """The same registry for each test, and a history of its own."""
    shutil.copytree(published, tmp_path / "registry")
    return tmp_path / "registry"


def served(runtime: Runtime, rows: int = 200) -> dict[str, int]:
    """How often each version answers."""
    found: dict[str, int] = {}
    for number in range(rows):
        version = runtime.predict("tiny", ROW, key=str(number)).version
        found[version] = found.get(version, 0) + 1
    return found


def test_a_name_without_revisions_is_served_as_ever(folder: Path) -> None:
    with Runtime(folder) as runtime:
        assert runtime.follow("tiny@champion").version == "1.0.0"
        prediction = runtime.predict("tiny", ROW)
        [state] = runtime.following
        assert (state.deployment, state.seen, state.live) == ("tiny", 0, 0)
        # It may still be deployed by hand.
        assert runtime.deploy("tiny@1.1.0").version == "1.1.0"
        assert prediction.version == "1.0.0"


def test_a_rollout_from_its_start_to_its_undoing(folder: Path) -> None:
    with Runtime(folder) as runtime:
        runtime.follow("tiny@champion")
        rollout = runtime.rollout("tiny")
        started = rollout.start(HALF, actor="ann", reason="new")
        assert rollout.state.live == started.number == 2
        found = served(runtime)
        assert found.keys() == {"1.0.0", "1.1.0"}
        assert min(found.values()) > 50
        assert len({runtime.predict("tiny", ROW, key="me").version for _ in range(20)}) == 1
        rollout.promote(actor="ann")
        assert served(runtime, 20) == {"1.1.0": 20}
        undone = rollout.undo(actor="ann", reason="slow")
        assert served(runtime, 20) == {"1.0.0": 20}
        assert runtime.predict("tiny", ROW).revision == undone.number
        assert rollout.verify().revisions == 4
        assert [entry.revision.event for entry in rollout.history()] == [
            *("undo", "promote", "start", "set"),
        ]


def test_what_follows_is_not_deployed_by_hand(folder: Path) -> None:
    with Runtime(folder) as runtime:
        runtime.follow("tiny@champion")
        runtime.rollout("tiny").start(EVERYTHING)
        with pytest.raises(ConflictError, match="'tiny' follows its revisions: start a rollout"):
            runtime.deploy("tiny@1.1.0")
        # An alias that moves says nothing any more.
        Registry(folder).alias("tiny", "champion", version="1.2.0")
        assert runtime.refresh() == []
        assert served(runtime, 20) == {"1.0.0": 20}
        runtime.unload("tiny")
        assert runtime.following == []
        assert runtime.deploy("tiny@1.1.0").version == "1.1.0"


def test_the_history_says_what_a_replica_begins_with(folder: Path) -> None:
    with Runtime(folder) as runtime:
        runtime.rollout("tiny").start(
            {"deployment": "tiny", "arms": [{"version": "1.2.0", "percent": 100}]}
        )
    with Runtime(folder) as runtime:
        assert runtime.follow("tiny@champion").version == "1.2.0"
        assert runtime.predict("tiny", ROW).revision == 1


def test_replicas_take_what_one_of_them_has_said(folder: Path) -> None:
    quick = Follow(every=0.05)
    with Runtime(folder, follow=quick) as first, Runtime(folder, follow=quick) as second:
        for runtime in (first, second):
            runtime.follow("tiny@champion")
        number = first.rollout("tiny").start(EVERYTHING).number
        waiting = threading.Event()
        for _ in range(1_200):
            if second.following[0].live == number:
                break
            waiting.wait(0.05)
        assert second.following[0].live == number
        assert first.following[0].replica != second.following[0].replica


def test_a_revision_that_cannot_be_verified_is_refused(folder: Path) -> None:
    with Runtime(folder) as runtime:
        runtime.follow("tiny@champion")
        rollout = runtime.rollout("tiny")
        rollout.start(EVERYTHING)
        digest = Registry(folder).resolve("tiny@1.1.0").digest.removeprefix("sha256:")
        model = folder / "bundles" / digest / "model.onnx"
        good = model.read_bytes()
        model.write_bytes(b"x" + good[1:])
        with pytest.raises(InputError, match=r"1\.1\.0 of 'tiny' has not passed its test"):
            rollout.start(HALF)
        assert rollout.state.seen == 1
        rollout.start(HALF, skip_check="to see what replicas say")
        # The one that decides refuses it itself, and gives the rollout up.
        [aborted, started, *_] = rollout.history()
        assert (started.revision.event, aborted.revision.event) == ("start", "abort")
        assert "refuses revision 2" in aborted.revision.reason
        assert "model.onnx" in aborted.revision.reason
        assert rollout.state.live == aborted.revision.number
        assert served(runtime, 20) == {"1.0.0": 20}
        model.write_bytes(good)


def test_going_back_loads_nothing(folder: Path) -> None:
    with Runtime(folder) as runtime:
        rollout = runtime.rollout("tiny")
        rollout.start(HALF, skip_check="it was tested before")
        rollout.promote()
        # The plan before is warm: its models need not even be there any more.
        for path in (folder / "bundles").glob("*/model.onnx"):
            path.unlink()
        undone = rollout.undo(reason="slow")
        assert (rollout.state.live, rollout.state.refused) == (undone.number, None)
        assert served(runtime, 20) == {"1.0.0": 20}


def test_a_runtime_without_a_registry_has_no_revisions() -> None:
    with Runtime() as runtime:
        with pytest.raises(InputError, match="this runtime has no registry"):
            runtime.rollout("tiny")
        assert runtime.following == []


def test_revisions_need_a_place_to_write_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FolderStore, "probe", lambda _: False)
    with (
        Runtime(folder) as runtime,
        pytest.raises(StorageError, match=r"cannot be written to.*set \[routing\] location"),
    ):
        runtime.follow("tiny@champion")


def test_nothing_that_can_be_served_is_an_error(folder: Path) -> None:
    with Runtime(folder) as runtime:
        runtime.rollout("tiny").start(EVERYTHING)
    for path in (folder / "bundles").glob("*/model.onnx"):
        path.write_bytes(b"no model")
    with (
        Runtime(folder) as runtime,
        pytest.raises(StateError, match="has revisions, and none can be served: "),
    ):
        runtime.follow("tiny@champion")


def test_no_request_fails_while_plans_change(folder: Path) -> None:
    """Every answer names a version and a revision that existed together."""
    pairs: set[tuple[int, str]] = set()
    failures: list[BaseException] = []
    stop = threading.Event()
    with Runtime(folder) as runtime:
        runtime.follow("tiny@champion")
        rollout = runtime.rollout("tiny")
        rollout.start(EVERYTHING)

        def ask(name: str) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    found = runtime.predict("tiny", ROW, key=f"{name}-{number}")
                except BaseException as error:
                    failures.append(error)
                    return
                pairs.add((found.revision, found.version))

        threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            rollout.start(HALF, skip_check="it was tested before")
            rollout.promote()
            rollout.undo()
        stop.set()
        for thread in threads:
            thread.join()
        plans: dict[int, Any] = {
            entry.revision.number: dict(entry.revision.routing.models)
            for entry in rollout.history()
        }
    assert failures == []
    assert len({revision for revision, _ in pairs}) > 3
    assert all(version in plans[revision] for revision, version in pairs)


def test_gates_move_a_rollout_by_what_was_counted(folder: Path) -> None:
    quick = Follow(every=0.05, samples=0.1, lease=2.0)
    steps = [{"percent": percent, "min_requests": 200, "min_seconds": 0} for percent in (20, 50)]
    plan = {
        "deployment": "tiny",
        "candidate": "1.1.0",
        "strategy": {"kind": "canary", "steps": steps},
        "gates": [{"kind": "errors", "margin": 0.1}],
    }
    with Runtime(folder, follow=quick) as runtime:
        rollout = runtime.rollout("tiny")
        rollout.start(plan, skip_check="it was tested before")
        end = time.monotonic() + PATIENCE
        number = 0
        while rollout.status()["event"] != "promote":
            assert time.monotonic() < end, rollout.status()
            for _ in range(200):
                number += 1
                runtime.predict("tiny", {**ROW, "x": number % 7 / 3}, key=str(number))
        [promoted, stepped, *_] = rollout.history()
        assert promoted.revision.actor.startswith("replica ")
        assert promoted.revision.token is not None
        assert stepped.revision.event == "step"
        assert str(stepped.revision.routing) == "1.0.0 50 %, 1.1.0 50 %"
        state = promoted.revision.rollout
        assert state is not None
        assert state.evidence is not None
        assert rollout.verify().void == ()
