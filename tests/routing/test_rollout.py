"""The machine of a rollout: what never happens, whatever the gates say, and what does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.routing.gates import material as made
from tests.routing.strategies import STRATEGIES

from tidegate.errors import InputError
from tidegate.monitoring.sequential import Proportion
from tidegate.routing import (
    AB,
    Arm,
    BlueGreen,
    Canary,
    Revision,
    RolloutState,
    Routing,
    ShadowFirst,
    Step,
    Strategy,
)
from tidegate.routing.gates import Budget, default_gates
from tidegate.routing.progress import status, unreachable
from tidegate.routing.rollout import Decision, decide, look, merged, resumed
from tidegate.routing.samples import Pairs, Sample, Samples, ShadowSamples
from tidegate.routing.weights import FULL
from tidegate.types import JsonObject

ERRORS: tuple[JsonObject, ...] = ({"kind": "errors", "name": "errors"},)
FINE = Sample(requests=20_000, errors=20)
BROKEN = Sample(requests=20_000, errors=4_000)
FEW = Sample(requests=10, errors=0)
KINDS = {"fine": FINE, "broken": BROKEN, "few": FEW, "none": Sample()}


def started(
    strategy: Strategy,
    *,
    gates: tuple[JsonObject, ...] = ERRORS,
    versions: tuple[str, ...] = ("1.1.0",),
    budget: Budget | None = None,
) -> Revision:
    candidates = tuple(Arm(version, 0, "candidate") for version in versions)
    routing = strategy.routing(Routing.alone("1.0.0"), candidates, 0)
    state = RolloutState(
        "r2",
        strategy,
        gates,
        candidates,
        "progressing",
        0,
        0.0,
        0.0,
        None,
        budget or Budget(),
    )
    return Revision("m", 2, 0.0, "ann", "new", "start", routing, state)


def counted(revision: Revision, candidate: Sample, stable: Sample = FINE) -> Samples:
    """The samples of a revision in which every candidate does the same."""
    samples = Samples(revision.deployment, revision.number)
    shadow = revision.routing.shadow
    for arm in revision.routing.arms:
        samples.arms[arm.version] = stable if arm.role == "stable" else candidate
    if shadow is not None:
        pairs = Pairs(candidate.requests, Proportion().count(0, candidate.requests))
        samples.shadow = ShadowSamples(shadow.version, stable, candidate, pairs)
    return samples


def after(revision: Revision, decision: Decision, now: float) -> Revision:
    assert revision.rollout is not None
    return revision.following(
        decision.event,
        actor="replica",
        reason=decision.reason,
        time=now,
        routing=decision.routing,
        rollout=decision.rollout(revision.rollout, now),
    )


def candidate_weight(routing: Routing) -> int:
    return sum(arm.weight for arm in routing.arms if arm.version != "1.0.0")


CANARY = Canary((Step(1, 500, 60.0, 600.0), Step(50, 500, 60.0, 600.0)))


def test_a_canary_steps_and_is_promoted() -> None:
    revision, events = started(CANARY), []
    for now in (60.0, 120.0):
        decision = decide(revision, counted(revision, FINE), now)
        assert decision is not None
        events.append((decision.event, str(decision.routing)))
        revision = after(revision, decision, now)
    assert events == [("step", "1.0.0 50 %, 1.1.0 50 %"), ("promote", "1.1.0 100 %")]
    assert revision.rollout is not None
    assert revision.rollout.phase == "promoted"
    assert decide(revision, counted(revision, BROKEN), 180.0) is None


def test_minimums_hold_back() -> None:
    revision = started(CANARY)
    assert decide(revision, counted(revision, FINE), 59.0) is None
    less = replace_requests(FINE, 499)
    assert decide(revision, counted(revision, less), 100.0) is None


def replace_requests(sample: Sample, requests: int) -> Sample:
    return Sample(requests=requests, errors=sample.errors * requests // sample.requests)


def test_a_failing_gate_aborts_at_once_with_its_evidence() -> None:
    revision = started(CANARY)
    decision = decide(revision, counted(revision, BROKEN), 1.0)
    assert decision is not None
    assert (decision.event, decision.phase) == ("abort", "aborted")
    assert str(decision.routing) == "1.0.0 100 %"
    assert decision.reason.startswith("1.1.0 fails gate errors: +19.9 points (")
    evidence: Any = decision.evidence
    [candidate] = evidence["candidates"]
    assert candidate["version"] == "1.1.0"
    assert candidate["gates"][0]["outcome"] == "fail"


def test_the_end_of_a_step_without_evidence_pauses() -> None:
    revision = started(CANARY)
    decision = decide(revision, counted(revision, FEW), 600.0)
    assert decision is not None
    assert (decision.event, decision.phase) == ("pause", "paused")
    assert decision.routing == revision.routing
    assert decision.reason == (
        "the time of step 1 of 2 (1 %) is over without enough evidence: 10 of 500 requests were seen"
    )
    enough = replace_requests(FINE, 510)
    decision = decide(revision, counted(revision, enough, Sample(requests=20)), 600.0)
    assert decision is not None
    assert "errors: " in decision.reason


def test_a_paused_rollout_is_given_up_but_not_moved() -> None:
    revision = started(CANARY)
    assert revision.rollout is not None
    paused = replace(revision, rollout=replace(revision.rollout, phase="paused"))
    assert decide(paused, counted(paused, FINE), 300.0) is None
    decision = decide(paused, counted(paused, BROKEN), 300.0)
    assert decision is not None
    assert decision.event == "abort"


def test_a_step_that_waits_goes_on_when_resumed() -> None:
    waits = Canary((Step(10, 500, 60.0, pause=True), Step(20, 500, 60.0, pause=True)))
    revision = started(waits)
    for step, (event, routing) in enumerate(
        [("resume", "1.0.0 80 %, 1.1.0 20 %"), ("promote", "1.1.0 100 %")]
    ):
        decision = decide(revision, counted(revision, FINE), 100.0)
        assert decision is not None
        assert (decision.event, decision.step) == ("pause", step)
        revision = after(revision, decision, 100.0)
        decision = resumed(revision, 100.0)
        assert (decision.event, str(decision.routing)) == (event, routing)
        revision = after(revision, decision, 0.0)


def test_a_step_without_evidence_begins_again_when_resumed() -> None:
    revision = started(CANARY)
    decision = decide(revision, counted(revision, FEW), 600.0)
    assert decision is not None
    revision = after(revision, decision, 600.0)
    decision = resumed(revision, 700.0)
    assert (decision.event, decision.phase, decision.step) == ("resume", "progressing", 0)
    revision = after(revision, decision, 700.0)
    assert decide(revision, counted(revision, FINE), 750.0) is None
    with pytest.raises(InputError, match="no paused rollout"):
        resumed(revision, 760.0)


def test_blue_green_switches_keeps_warm_and_finishes() -> None:
    gates: tuple[JsonObject, ...] = ({"kind": "errors", "at_most": 0.02},)
    revision = started(BlueGreen(keep_warm=300.0), gates=gates)
    assert str(revision.routing) == "1.0.0 0 %, 1.1.0 100 %"
    assert decide(revision, counted(revision, FINE, Sample()), 299.0) is None
    decision = decide(revision, counted(revision, FINE, Sample()), 300.0)
    assert decision is not None
    assert (decision.event, decision.phase) == ("finish", "promoted")
    assert str(decision.routing) == "1.1.0 100 %"
    back = decide(revision, counted(revision, BROKEN, Sample()), 1.0)
    assert back is not None
    assert (back.event, str(back.routing)) == ("abort", "1.0.0 100 %")
    waits = decide(revision, counted(revision, FEW, Sample()), 300.0)
    assert waits is not None
    assert waits.event == "pause"


def test_an_experiment_runs_until_a_decision() -> None:
    ab = AB("colour", (("1.1.0", 30.0), ("1.2.0", 30.0)), max_seconds=900.0)
    revision = started(ab, versions=("1.1.0", "1.2.0"))
    assert decide(revision, counted(revision, FINE), 800.0) is None
    decision = decide(revision, counted(revision, FINE), 900.0)
    assert decision is not None
    assert decision.event == "pause"
    assert "promote an arm" in decision.reason
    samples = counted(revision, FINE)
    samples.arms["1.2.0"] = BROKEN
    decision = decide(revision, samples, 100.0)
    assert decision is not None
    assert decision.event == "abort"
    assert decision.reason.startswith("1.2.0 fails")


def test_a_shadow_comes_before_the_canary() -> None:
    strategy = ShadowFirst(min_seconds=60.0, then=CANARY)
    gates = (*ERRORS, {"kind": "disagreement"}, {"kind": "latency"})
    revision = started(strategy, gates=gates)
    found = look(revision, counted(revision, FINE), 60.0)
    assert found is not None
    # Copies run at a low priority: their latency is not looked at.
    assert [verdict.gate for verdict in found.candidates[0].verdicts] == ["errors", "disagreement"]
    decision = decide(revision, counted(revision, FINE), 60.0)
    assert decision is not None
    assert (decision.event, str(decision.routing)) == ("step", "1.0.0 99 %, 1.1.0 1 %")
    only = started(replace(strategy, then=None))
    decision = decide(only, counted(only, FINE), 60.0)
    assert decision is not None
    assert decision.event == "pause"
    assert "nothing follows" in decision.reason


def test_the_budget_is_shared_over_steps_gates_and_candidates() -> None:
    """What is enough evidence against one gate of one step is not against one of many."""
    worse = Sample(requests=2_000, errors=55)
    one = started(Canary((Step(50),)))
    many = started(Canary(tuple(Step(float(share)) for share in range(1, 60))))
    assert look_outcome(one, worse) == "fail"
    assert look_outcome(many, worse) == "not_enough"


def look_outcome(revision: Revision, candidate: Sample) -> str:
    found = look(revision, counted(revision, candidate, Sample(requests=20_000, errors=40)), 1.0)
    assert found is not None
    return found.candidates[0].verdicts[0].outcome


def test_without_gates_time_and_minimums_decide() -> None:
    revision = started(CANARY, gates=())
    decision = decide(revision, counted(revision, FINE), 60.0)
    assert decision is not None
    assert decision.event == "step"


def test_samples_of_replicas_and_of_other_revisions() -> None:
    revision = started(CANARY)
    half = Sample(requests=300, errors=1)
    mine = Samples("m", 2, 10.0, 20.0, {"1.1.0": half, "1.0.0": FINE})
    old = Samples("m", 1, 0.0, 9.0, {"1.0.0": BROKEN})
    texts = {
        name: orjson.dumps(samples.to_document()).decode()
        for name, samples in (("a", mine), ("b", mine), ("c", old))
    }
    both = merged(revision, texts)
    assert both.arms["1.1.0"].requests == 600
    assert both.replicas == 2
    assert both.arms["1.0.0"].errors == 2 * FINE.errors


def test_the_status_is_plain_data() -> None:
    revision = started(CANARY, gates=tuple(gate.to_document() for gate in default_gates(CANARY)))
    stable, candidate = made.sample(2_000), made.sample(40, seed=1)
    shown = orjson.loads(
        orjson.dumps(status(revision, counted(revision, candidate, stable), 300.0))
    )
    assert [arm["percent"] for arm in shown["arms"]] == [99.0, 1.0]
    rollout = shown["rollout"]
    assert (rollout["step"], rollout["steps"], rollout["requests"]) == (1, 2, 40)
    assert [gate["gate"] for gate in rollout["gates"]] == ["errors", "latency", "prediction"]
    for gate in rollout["gates"]:
        assert gate["outcome"] == "not_enough"
        assert gate["seconds_to_go"] is None or gate["seconds_to_go"] > 0
    assert "about 80 of 500 requests when the 600 s" in rollout["warnings"][0]


def test_a_step_that_can_never_gather_its_minimum_is_named() -> None:
    assert unreachable(CANARY, 1_000.0) is None
    said = unreachable(CANARY, 1.0)
    assert said is not None
    assert said.startswith("step 1 can never gather its minimum: 1 % of 1 requests a second are 6")


def test_the_record_of_a_decision_is_bounded() -> None:
    gates: tuple[JsonObject, ...] = tuple(
        {"kind": "features", "name": f"f{number}"} for number in range(60)
    )
    features = {f"column {number}": [500, 500] for number in range(25)}
    moved = {name: [900, 100] for name in features}
    for many, most in ((gates[:1], 20), (gates, 0)):
        revision = started(CANARY, gates=many)
        decision = decide(
            revision, counted(revision, Sample(features=moved), Sample(features=features)), 1.0
        )
        assert decision is not None
        assert len(orjson.dumps(decision.evidence)) < 400_000
        evidence: Any = decision.evidence
        assert len(evidence["candidates"][0]["gates"][0]["parts"]) == most


class Machine(RuleBasedStateMachine):
    """Any strategy, whatever is counted, whenever somebody looks, pauses or resumes."""

    def __init__(self) -> None:
        super().__init__()
        self.revision: Revision | None = None
        self.now = 0.0
        self.weights: list[int] = []

    @precondition(lambda self: self.revision is None)
    @rule(strategy=STRATEGIES)
    def start(self, strategy: Strategy) -> None:
        versions = strategy.versions or ("99.0.0",)
        if any(version == "1.0.0" for version in versions):
            return
        self.revision = started(strategy, versions=versions)
        self.weights = [candidate_weight(self.revision.routing)]

    @precondition(lambda self: self.revision is not None)
    @rule(
        candidate=st.sampled_from(sorted(KINDS)),
        stable=st.sampled_from(sorted(KINDS)),
        later=st.sampled_from([0.0, 1.0, 60.0, 2_000.0]),
    )
    def looks(self, candidate: str, stable: str, later: float) -> None:
        assert self.revision is not None
        self.now += later
        samples = counted(self.revision, KINDS[candidate], KINDS[stable])
        before, rollout = look(self.revision, samples, self.now), self.revision.rollout
        decision = decide(self.revision, samples, self.now)
        assert rollout is not None
        if decision is None:
            return
        assert rollout.open
        assert before is not None
        if rollout.phase == "paused":
            assert decision.event == "abort"
        if decision.event in ("step", "promote", "finish"):
            # Never without the evidence of every gate, nor before the minimums.
            assert before.passed
            assert before.gathered
            if any(each.verdicts for each in before.candidates):
                assert candidate != "none"
                assert candidate != "broken" or stable == "broken"
        if decision.event == "abort":
            assert any(each.failed for each in before.candidates)
            assert decision.routing == self.revision.routing.settled()
        self.follow(decision)

    @precondition(lambda self: self.revision is not None and self.revision.rollout.open)
    @rule()
    def pauses(self) -> None:
        assert self.revision is not None
        assert self.revision.rollout is not None
        paused = replace(self.revision.rollout, phase="paused")
        self.revision = self.revision.following(
            "pause", actor="ann", reason="", time=self.now, rollout=paused
        )

    @precondition(
        lambda self: self.revision is not None and self.revision.rollout.phase == "paused"
    )
    @rule()
    def resumes(self) -> None:
        assert self.revision is not None
        self.follow(resumed(self.revision, self.now))

    def follow(self, decision: Decision) -> None:
        assert self.revision is not None
        rollout = self.revision.rollout
        assert rollout is not None
        ended = {"promote": "promoted", "finish": "promoted", "abort": "aborted", "pause": "paused"}
        assert decision.phase == ended.get(decision.event, "progressing")
        assert decision.step in (rollout.step, rollout.step + 1)
        self.revision = after(self.revision, decision, self.now)
        if decision.event != "abort":
            self.weights.append(candidate_weight(decision.routing))

    @invariant()
    def weights_only_rise(self) -> None:
        assert self.weights == sorted(self.weights)

    @invariant()
    def the_plan_can_be_served_and_recorded(self) -> None:
        if self.revision is None:
            return
        assert sum(arm.weight for arm in self.revision.routing.arms) == FULL
        document = self.revision.to_document()
        assert Revision.from_document(document, "it").to_document() == document


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
test_machine = Machine.TestCase


@given(st.sampled_from(sorted(KINDS)), st.floats(0, 10_000))
def test_deciding_twice_is_deciding_once(candidate: str, now: float) -> None:
    revision = started(CANARY)
    samples = counted(revision, KINDS[candidate])
    assert decide(revision, samples, now) == decide(revision, samples, now)
