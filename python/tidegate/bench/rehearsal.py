"""Whole rollouts in virtual time: by gates, and by the fixed thresholds of a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tidegate.bench.streams import Minute, Traffic
from tidegate.routing import Arm, Canary, Revision, RolloutState, Routing, Step
from tidegate.routing.gates import Budget, Gate, default_gates
from tidegate.routing.rollout import decide
from tidegate.routing.samples import Sample, Samples

__all__ = ["CANARY", "Ending", "Thresholds", "by_gates", "by_thresholds"]

STABLE: Final = "1.0.0"
CANDIDATE: Final = "1.1.0"

CANARY: Final = Canary(
    (
        Step(10, min_requests=500, min_seconds=300, max_seconds=14_400),
        Step(50, min_requests=500, min_seconds=300, max_seconds=14_400),
    )
)
"""The canary that is rehearsed."""

TICK_SECONDS: Final = 60.0
"""How often is looked."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a rehearsed rollout ended.

    Attributes:
        outcome: `promote`, `abort` or `pause`.
        seconds: When.
        requests: That the candidate had got by then.
        reason: Why.
    """

    outcome: str
    seconds: float
    requests: int
    reason: str


class Thresholds(Protocol):
    """A rule that is told of each minute."""

    def decide(self, stable: Minute, candidate: Minute) -> str | None:
        """`abort`, `step`, `promote`, or nothing yet."""

    @property
    def weight(self) -> float:
        """The candidate's share in percent."""


def by_gates(
    traffic: Traffic,
    *,
    canary: Canary = CANARY,
    gates: Sequence[Gate] | None = None,
    budget: Budget | None = None,
    tick: float = TICK_SECONDS,
) -> Ending:
    """A rollout as `decide` moves it.

    Args:
        traffic: The requests.
        canary: In which steps.
        gates: What must hold; the default gates by default.
        budget: The greatest chances of a wrong decision.
        tick: Seconds between two looks.

    Example:
        >>> from tidegate.bench.streams import Traffic, Version
        >>> by_gates(Traffic(Version(), Version(errors=0.2))).outcome
        'abort'
    """
    documents = tuple(
        gate.to_document() for gate in (default_gates(canary) if gates is None else gates)
    )
    arm = Arm(CANDIDATE, 0, "candidate")
    state = RolloutState(
        "r2", canary, documents, (arm,), "progressing", 0, 0.0, 0.0, None, budget or Budget()
    )
    routing = canary.routing(Routing.alone(STABLE), [arm], 0)
    revision = Revision("rehearsal", 2, 0.0, "bench", "", "start", routing, state)
    now, requests = 0.0, 0
    samples = _fresh(revision)
    while True:
        assert revision.rollout is not None
        share = canary.steps[revision.rollout.step].percent / 100
        _, tried = traffic.tick(now, tick, share, samples.arms[STABLE], samples.arms[CANDIDATE])
        now += tick
        requests += tried.requests
        decision = decide(revision, samples, now)
        if decision is None:
            continue
        if decision.event != "step":
            return Ending(decision.event, now, requests, decision.reason)
        rollout = decision.rollout(revision.rollout, now)
        revision = revision.following(
            decision.event,
            actor="bench",
            reason=decision.reason,
            time=now,
            routing=decision.routing,
            rollout=rollout,
        )
        samples = _fresh(revision)


def _fresh(revision: Revision) -> Samples:
    arms = {STABLE: Sample(), CANDIDATE: Sample()}
    return Samples(revision.deployment, revision.number, arms=arms)


def by_thresholds(traffic: Traffic, rule: Thresholds) -> Ending:
    """The same requests as a peer's rule moves them, which looks once a minute.

    Args:
        traffic: The requests.
        rule: Fresh.
    """
    now, requests = 0.0, 0
    while True:
        stable, candidate = traffic.tick(now, 60.0, rule.weight / 100, Sample(), Sample())
        now += 60.0
        requests += candidate.requests
        decision = rule.decide(stable, candidate)
        if decision in ("abort", "promote"):
            return Ending(decision, now, requests, "")
