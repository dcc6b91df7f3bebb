"""A process that follows a deployment, or runs commands; run by the tests across processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidegate.errors import ConflictError, InputError
from tidegate.routing import Canary, Revision, RolloutState, Routing, Step
from tidegate.routing.catalogue import Known
from tidegate.routing.control import Control
from tidegate.routing.follower import Follower
from tidegate.routing.revision import Event, Phase
from tidegate.routing.toml import Plan
from tidegate.storage import Store, open_store
from tidegate.types import JsonObject

STRATEGY = Canary(tuple(Step(percent, 0, 0.0) for percent in range(1, 100, 2)))


class Versions:
    """Every version exists."""

    def find(self, deployment: str, selector: str) -> Known:
        return Known(selector, None, deployment, "classifier", (0, 1))

    def current(self, deployment: str) -> Known | None:
        return self.find(deployment, "1.0.0")


@dataclass(frozen=True)
class Decision:
    event: Event
    routing: Routing
    phase: Phase
    step: int
    reason: str = "it is time"
    evidence: JsonObject | None = None

    def rollout(self, before: RolloutState, now: float) -> RolloutState:
        return replace(before, phase=self.phase, step=self.step, step_began=now)


def onward(revision: Revision, samples: Mapping[str, str], now: float) -> Decision | None:
    """Each look is a step."""
    del samples, now
    rollout = revision.rollout
    assert rollout is not None
    if rollout.phase == "paused":
        return None
    step = rollout.step + 1
    if step == len(STRATEGY.steps):
        chosen = revision.routing.settled(rollout.candidates[0].version)
        return Decision("promote", chosen, "promoted", rollout.step)
    routing = STRATEGY.routing(revision.routing, rollout.candidates, step)
    return Decision("step", routing, "progressing", step)


class Printing:
    """Serves nothing, and says what it would serve; a version 6.* cannot be loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def switch(self, revision: Revision) -> None:
        if any(version.startswith("6.") for version, _ in revision.routing.models):
            raise InputError("its golden rows do not reproduce")
        with self._file.open("a") as file:
            file.write(json.dumps([revision.number, str(revision.routing)]) + "\n")

    def samples(self, revision: Revision) -> str | None:
        return json.dumps({"revision": revision.number})


def follow(store: Store, name: str, folder: Path, lease: float) -> None:
    """Follows until it is killed, and says how it stands."""
    state = folder / f"{name}.state"
    follower = Follower(
        store,
        "m",
        Printing(folder / f"{name}.served"),
        onward,
        replica=name,
        every=0.05,
        lease=lease,
        publish=0.1,
    )
    while True:
        found = follower.turn()
        refused = None if found.refused is None else found.refused[0]
        document = {"live": found.live, "leads": found.leads, "refused": refused}
        state.with_suffix(".new").write_text(json.dumps(document))
        state.with_suffix(".new").rename(state)
        time.sleep(0.05)


def race(store: Store, name: str, count: int) -> None:
    """Starts rollouts and gives them up, against others who do the same; says what it did."""
    control = Control(store, "m", Versions())
    done: list[int] = []
    refused = 0
    while len(done) < count:
        try:
            revision = control.start(
                Plan("m", "1.1.0", STRATEGY), actor=name, reason=f"{name} {len(done)}"
            )
            done.append(revision.number)
            done.append(control.abort(actor=name, reason="").number)
        except ConflictError:
            refused += 1
            time.sleep(0.001)
    print(json.dumps({"done": done, "refused": refused}))


def main(command: str, location: str, options: str, name: str, *rest: str) -> None:
    more: dict[str, Any] = json.loads(options)
    store = open_store(location, read_only=True, **more)
    if command == "follow":
        follow(store, name, Path(rest[0]), float(rest[1]))
    else:
        race(store, name, int(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
