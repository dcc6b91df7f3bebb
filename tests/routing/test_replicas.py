"""Replicas as processes, on a folder and on an S3-compatible server."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.routing.replica import STRATEGY, Versions

from tidegate.routing.control import Control
from tidegate.routing.history import History
from tidegate.routing.toml import Plan
from tidegate.storage import Store, open_store

PATIENCE = 120.0
LEASE = 2.0


@dataclass
class Place:
    """A store that processes can open."""

    location: str
    folder: Path
    options: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return open_store(self.location, read_only=True, **self.options)

    def run(self, command: str, name: str, *rest: object) -> subprocess.Popen[str]:
        arguments = [self.location, json.dumps(self.options), name, *map(str, rest)]
        code = [sys.executable, "-m", "tests.routing.replica", command, *arguments]
        return subprocess.Popen(code, stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "store"), tmp_path)
    endpoint = request.getfixturevalue("s3_endpoint")
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    creation = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
    with urllib.request.urlopen(creation) as answer:
        assert answer.status == 200
    options = {
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key_id": "test",
        "secret_access_key": "test",
    }
    return Place(f"s3://{bucket}/registry", tmp_path, options)


def test_processes_that_append_at_once_make_one_history(place: Place) -> None:
    racers = [place.run("race", f"p{number}", 6) for number in range(3)]
    done = []
    for racer in racers:
        out, _ = racer.communicate(timeout=PATIENCE)
        assert racer.returncode == 0
        done.append(json.loads(out)["done"])
    history = History(place.store, "m")
    history.refresh()
    found = history.verify()
    # Everybody's are in it, each once, and nobody else's: but the first, of what was served before.
    assert sorted(sum(done, [1])) == list(range(1, found.revisions + 1))
    assert found.void == ()
    entries = [entry.revision for entry in history.entries()]
    for before, after in itertools.pairwise(entries):
        assert after.event == ("abort" if before.event == "start" else "start")
        assert before.event != "start" or before.actor == after.actor


class Replicas:
    """Processes that follow."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str) -> None:
        self.running[name] = self._place.run("follow", name, self._place.folder, LEASE)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def state(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._place.folder / f"{name}.state").read_text())
        except FileNotFoundError:
            return {"live": 0, "leads": False, "refused": None}
        return found

    def served(self, name: str) -> list[int]:
        lines = (self._place.folder / f"{name}.served").read_text().splitlines()
        return [json.loads(line)[0] for line in lines]

    def leader(self) -> str | None:
        leaders = [name for name in self.running if self.state(name)["leads"]]
        return leaders[0] if leaders else None

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, what
            assert all(process.poll() is None for process in self.running.values()), what
            time.sleep(0.02)


@pytest.fixture
def replicas(place: Place) -> Iterator[Replicas]:
    replicas = Replicas(place)
    try:
        for name in ("a", "b", "c"):
            replicas.start(name)
        yield replicas
    finally:
        for name in list(replicas.running):
            with contextlib.suppress(OSError):
                replicas.kill(name)


def test_a_rollout_goes_on_though_whoever_leads_it_is_killed(
    place: Place, replicas: Replicas
) -> None:
    control = Control(place.store, "m", Versions())
    control.start(Plan("m", "1.1.0", STRATEGY), actor="ann", reason="new")
    killed = 0
    history = History(place.store, "m")
    while killed < 2:
        replicas.until("somebody leads", lambda: replicas.leader() is not None)
        leader = replicas.leader()
        assert leader is not None
        replicas.kill(leader)
        killed += 1
        replicas.start(f"{leader}{killed}")

    def is_promoted() -> bool:
        history.refresh()
        newest = history.newest
        return newest is not None and newest.event == "promote"

    replicas.until("the rollout ends", is_promoted)
    newest = history.newest
    assert newest is not None
    assert str(newest.routing) == "1.1.0 100 %"
    # Back again, by a person.
    undone = control.undo(actor="ann", reason="no")
    assert str(undone.routing) == "1.0.0 100 %"
    replicas.until(
        "all agree",
        lambda: all(replicas.state(name)["live"] == undone.number for name in replicas.running),
    )
    assert control.verify().void == ()
    steps = [entry.revision.event for entry in history.entries()]
    onward = ["step"] * (len(STRATEGY.steps) - 1)
    assert steps == ["set", "start", *onward, "promote", "undo"]
    for name in replicas.running:
        served = replicas.served(name)
        assert served == sorted(set(served))


def test_a_revision_that_cannot_be_loaded_is_refused_and_the_rollout_given_up(
    place: Place, replicas: Replicas
) -> None:
    control = Control(place.store, "m", Versions())
    started = control.start(Plan("m", "6.0.0", STRATEGY), actor="ann", reason="new")

    def is_over() -> bool:
        newest = control.newest()
        return newest is not None and newest.event == "abort"

    replicas.until("the rollout is given up", is_over)
    newest = control.newest()
    assert newest is not None
    assert newest.number == started.number + 1
    assert "refuses revision 2: its golden rows do not reproduce" in newest.reason
    assert newest.token is not None
    replicas.until(
        "all agree",
        lambda: all(replicas.state(name)["live"] == newest.number for name in replicas.running),
    )
    for name in replicas.running:
        assert started.number not in replicas.served(name)
