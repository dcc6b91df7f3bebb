"""The whole protocol as a model: replicas, people, a faulty store, and clocks that disagree.

Whatever order things happen in, there is one history, its chain holds, nobody serves what is void,
no decision is made twice, and once the faults are over all agree.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.routing.faulty import Shared, View

from tidegate.errors import ConflictError, InputError, StorageError
from tidegate.routing import Canary, Revision, RolloutState, Routing, Step
from tidegate.routing.catalogue import Known
from tidegate.routing.control import Control
from tidegate.routing.follower import Follower
from tidegate.routing.history import History
from tidegate.routing.revision import Event, Phase
from tidegate.routing.toml import Plan
from tidegate.storage import store as store_module
from tidegate.types import JsonObject

LEASE = 8.0
REPLICAS = 3
VERSIONS = ["1.1.0", "1.2.0", "1.3.0"]
BROKEN = "1.3.0"
"""A version that no replica can load."""

STRATEGY = Canary((Step(10), Step(50)))


class Clock:
    def __init__(self, skew: float) -> None:
        self.now = 100.0
        self.skew = skew

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now + self.skew


class Loaded:
    """What a replica serves."""

    def __init__(self, machine: Protocol) -> None:
        self._machine = machine
        self.live: Revision | None = None
        self.unreachable = False

    def switch(self, revision: Revision) -> None:
        assert not revision.is_void
        assert revision == self._machine.record(revision.number)
        if self.unreachable:
            raise StorageError("no answer")
        if any(version == BROKEN for version, _ in revision.routing.models):
            raise InputError(f"version {BROKEN} does not reproduce its golden rows")
        assert self.live is None or self.live.number < revision.number
        self.live = revision

    def samples(self, revision: Revision) -> str | None:
        assert self.live == revision
        return "{}"


class Decision:
    def __init__(self, event: Event, routing: Routing, phase: Phase, step: int) -> None:
        self.event, self.routing, self.reason = event, routing, "it is time"
        self.evidence: JsonObject | None = None
        self._phase, self._step = phase, step

    def rollout(self, before: RolloutState, now: float) -> RolloutState:
        return replace(before, phase=self._phase, step=self._step, step_began=now)


class Replica:
    def __init__(self, machine: Protocol, name: str, skew: float) -> None:
        self.name, self.clock = name, Clock(skew)
        self.view, self.loaded = View(machine.shared), Loaded(machine)
        self.follower = Follower(
            self.view,
            "m",
            self.loaded,
            machine.decide,
            replica=name,
            lease=LEASE,
            publish=0.001,
            clock=self.clock.monotonic,
            wall=self.clock.wall,
        )


class Versions:
    def find(self, deployment: str, selector: str) -> Known:
        assert deployment == "m"
        return Known(selector, None, "columns", "classifier", (0, 1))

    def current(self, deployment: str) -> Known | None:
        return self.find(deployment, "1.0.0")


class Protocol(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shared = Shared()
        self.names = (f"r{number}" for number in itertools.count())
        self.replicas: list[Replica] = []
        self.mood = "on"
        self.checked: list[Revision] = []

    # ---- what replicas decide by

    def decide(self, revision: Revision, samples: Mapping[str, str], now: float) -> Decision | None:
        assert set(samples.values()) <= {"{}"}
        assert now >= revision.time
        rollout = revision.rollout
        assert rollout is not None
        assert rollout.open
        if self.mood == "abort":
            return Decision("abort", revision.routing.settled(), "aborted", rollout.step)
        if self.mood == "wait" or rollout.phase == "paused":
            return None
        step = rollout.step + 1
        if step == len(STRATEGY.steps):
            chosen = revision.routing.settled(rollout.candidates[0].version)
            return Decision("promote", chosen, "promoted", rollout.step)
        routing = STRATEGY.routing(revision.routing, rollout.candidates, step)
        return Decision("step", routing, "progressing", step)

    def record(self, number: int) -> Revision:
        return History(View(self.shared), "m").read(number).revision

    # ---- what happens

    @initialize(skews=st.lists(st.floats(-3_600, 3_600), min_size=REPLICAS, max_size=REPLICAS))
    def begin(self, skews: list[float]) -> None:
        self.replicas = [Replica(self, next(self.names), skew) for skew in skews]

    @rule(who=st.integers(0, REPLICAS - 1))
    def look(self, who: int) -> None:
        self.replicas[who].follower.turn()

    @rule(
        who=st.integers(0, REPLICAS - 1),
        faults=st.lists(st.sampled_from(["cut", "lost", ""]), min_size=1, max_size=8),
    )
    def look_through_faults(self, who: int, faults: list[str]) -> None:
        self.replicas[who].view.faults = list(faults)
        self.replicas[who].follower.turn()

    @rule(who=st.integers(0, REPLICAS - 1), behind=st.integers(1, 6))
    def look_at_what_is_old(self, who: int, behind: int) -> None:
        self.replicas[who].view.behind = behind
        self.replicas[who].follower.turn()
        self.replicas[who].view.behind = 0

    @rule(
        who=st.integers(0, REPLICAS - 1),
        other=st.integers(0, REPLICAS - 1),
        stopped=st.floats(0, 3 * LEASE),
    )
    def stop_in_the_middle_of_a_put(self, who: int, other: int, stopped: float) -> None:
        """While one replica writes, its lease may end and another may decide."""

        def meanwhile() -> None:
            self.pass_time(stopped)
            if other != who:
                self.replicas[other].follower.turn()
                self.replicas[other].follower.turn()

        self.replicas[who].view.within = meanwhile
        self.replicas[who].follower.turn()
        self.replicas[who].view.within = None

    @rule(seconds=st.floats(0, 2 * LEASE))
    def pass_time(self, seconds: float) -> None:
        for replica in self.replicas:
            replica.clock.now += seconds

    @rule(who=st.integers(0, REPLICAS - 1), skew=st.floats(-3_600, 3_600))
    def kill_and_start_another(self, who: int, skew: float) -> None:
        self.replicas[who] = Replica(self, next(self.names), skew)

    @rule(who=st.integers(0, REPLICAS - 1), unreachable=st.booleans())
    def hide_the_bundles(self, who: int, unreachable: bool) -> None:
        self.replicas[who].loaded.unreachable = unreachable

    @rule(mood=st.sampled_from(["on", "on", "wait", "abort"]))
    def gather(self, mood: str) -> None:
        self.mood = mood

    @rule(
        what=st.sampled_from(["start", "start", "pause", "resume", "promote", "abort", "undo"]),
        version=st.sampled_from(VERSIONS),
        faults=st.lists(st.sampled_from(["cut", "lost", "", "", ""]), max_size=6),
        behind=st.sampled_from([0, 0, 0, 2]),
        overtaking=st.none() | st.integers(0, REPLICAS - 1),
        skew=st.floats(-3_600, 3_600),
    )
    def command(
        self,
        what: str,
        version: str,
        faults: list[str],
        behind: int,
        overtaking: int | None,
        skew: float,
    ) -> None:
        view = View(self.shared)
        view.faults, view.behind = list(faults), behind
        if overtaking is not None:
            view.within = lambda: (self.replicas[overtaking].follower.turn(), None)[1]
        control = Control(view, "m", Versions(), clock=Clock(skew).wall)
        more: dict[str, Any] = {"actor": "ann", "reason": "because"}
        with contextlib.suppress(ConflictError, InputError, StorageError):
            if what == "start":
                control.start(Plan("m", version, STRATEGY), **more)
            else:
                getattr(control, what)(**more)

    # ---- what must hold

    @invariant()
    def there_is_one_history(self) -> None:
        history = History(View(self.shared), "m")
        history.verify()
        found = [entry.revision for entry in history.entries()]
        # What was written once is never written otherwise.
        assert found[: len(self.checked)] == self.checked
        before: Revision | None = None
        for revision in found:
            assert not revision.is_void
            check_follows(before, revision)
            before = revision
        self.checked = found
        # Nobody serves what is not in it.
        for replica in self.replicas:
            live = replica.loaded.live
            state = replica.follower.state
            assert state.live == (0 if live is None else live.number)
            assert state.live <= state.seen <= len(self.checked)

    @invariant()
    def at_most_one_believes_that_it_holds_the_lease(self) -> None:
        tokens = [replica.follower._lease.token for replica in self.replicas]
        assert sum(token is not None for token in tokens) <= 1

    def teardown(self) -> None:
        """Without faults all agree, and a rollout that is open goes on."""
        self.mood = "on"
        for replica in self.replicas:
            replica.view.heal()
            replica.loaded.unreachable = False
        for _ in range(12):
            for replica in self.replicas:
                replica.follower.turn()
            self.pass_time(LEASE)
        newest = History(View(self.shared), "m")
        newest.refresh()
        if newest.newest is None:
            return
        revision = newest.newest
        if revision.rollout is not None:
            assert revision.rollout.phase != "progressing"
        for replica in self.replicas:
            state = replica.follower.state
            assert state.fault is None
            assert state.seen == revision.number
            broken = any(version == BROKEN for version, _ in revision.routing.models)
            assert (state.refused is not None) == broken
            assert broken or state.live == revision.number


def check_follows(before: Revision | None, after: Revision) -> None:
    """One event can follow another, and was decided by what stood then."""
    was = None if before is None else before.rollout
    is_open = was is not None and was.open
    assert after.parent == (0 if before is None else before.number) or after.event == "undo"
    if before is None:
        assert (after.number, after.event) == (1, "set")
        return
    assert after.time >= before.time
    assert after.number == before.number + 1
    assert after.event != "set"
    # Replicas decide by the lease, people do not need it.
    assert (after.token is not None) == after.actor.startswith("replica ")
    if after.event == "start":
        assert not is_open
    elif after.event != "undo":
        assert is_open
        assert was is not None
        assert after.rollout is not None
        assert after.rollout.id == was.id
    if after.event == "resume":
        assert was is not None
        assert was.phase == "paused"
    if after.event == "step":
        assert after.rollout is not None
        assert was is not None
        assert after.rollout.step == was.step + 1
        assert after.routing.candidate is not None
        assert before.routing.candidate is not None
        assert after.routing.candidate.weight > before.routing.candidate.weight


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FIRST_PAUSE_SECONDS", 0.0)


Protocol.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestProtocol = Protocol.TestCase
