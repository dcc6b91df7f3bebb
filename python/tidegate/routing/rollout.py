"""What a rollout does next: a pure function of its revision, of what was counted, and of the time.

No clock, no store, no thread: whoever holds the lease asks `decide` as often as it likes, and appends
what it says. A step goes on when every gate has passed and its minimums are met, the rollout is given
up when any gate fails, and it pauses where its time is over without evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from tidegate.errors import InputError
from tidegate.routing.gates import (
    Budget,
    Gate,
    Material,
    Stage,
    Verdict,
    gates_of,
    stages_of,
)
from tidegate.routing.plan import Arm, Routing
from tidegate.routing.revision import Event, Phase, Revision, RolloutState
from tidegate.routing.samples import Sample, Samples
from tidegate.routing.strategy import AB, BlueGreen, ShadowFirst, Step
from tidegate.types import Json, JsonObject

__all__ = ["Decision", "Look", "decide", "decided", "look", "merged", "resumed"]

MOST_PARTS: Final = 20
"""Segments, features or gates of an expression that the record of a decision keeps, and"""

MOST_EVIDENCE: Final = 256 << 10
"""bytes of it beyond which it keeps none of them: a revision has 1 MiB."""

MOST_SENTENCE: Final = 300
"""Characters of a gate's sentence that are kept."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens next.

    Attributes:
        event: What it is: `step`, `pause`, `promote`, `finish`, `abort` or `resume`.
        routing: The plan from here on.
        phase: Of the rollout.
        step: From 0.
        reason: Why, in one sentence.
        evidence: What the gates said, for the record and for an incident.
    """

    event: Event
    routing: Routing
    phase: Phase
    step: int
    reason: str
    evidence: JsonObject

    def rollout(self, before: RolloutState, now: float) -> RolloutState:
        """The state of the rollout from here on.

        Args:
            before: As it was.
            now: When this is decided.
        """
        return replace(
            before,
            phase=self.phase,
            step=self.step,
            step_began=now,
            evidence=self.evidence,
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate beside stable in one step.

    Attributes:
        version: The candidate's.
        material: What was counted of both.
        verdicts: What the gates that suit this step say.
    """

    version: str
    material: Material
    verdicts: tuple[Verdict, ...]

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The gates that it fails."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "fail")

    @property
    def undecided(self) -> tuple[Verdict, ...]:
        """The gates that have not enough evidence."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "not_enough")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a step.

    Attributes:
        step: What the step asks for.
        elapsed: Seconds since it began.
        candidates: Each beside stable.
    """

    step: Step
    elapsed: float
    candidates: tuple[Compared, ...]

    @property
    def requests(self) -> int:
        """Of the candidate that has seen the fewest."""
        return min((each.material.candidate.requests for each in self.candidates), default=0)

    @property
    def gathered(self) -> bool:
        """Whether the step's minimums are met."""
        return self.requests >= self.step.min_requests and self.elapsed >= self.step.min_seconds

    @property
    def passed(self) -> bool:
        """Whether every gate has passed for every candidate."""
        verdicts = [verdict for each in self.candidates for verdict in each.verdicts]
        return bool(self.candidates) and all(verdict.outcome == "pass" for verdict in verdicts)

    @property
    def over(self) -> bool:
        """Whether the step's time is over."""
        return self.step.max_seconds is not None and self.elapsed >= self.step.max_seconds

    def evidence(self, event: Event, step: int, sentence: str) -> dict[str, Json]:
        """The look for the record; counts of distributions stay where a gate failed.

        Args:
            event: What follows from it.
            step: Which one was looked at, from 0.
            sentence: Why.
        """
        found = self._told(event, step, sentence, MOST_PARTS)
        if len(orjson.dumps(found)) > MOST_EVIDENCE:
            return self._told(event, step, sentence, 0)
        return found

    def _told(self, event: Event, step: int, sentence: str, parts: int) -> dict[str, Json]:
        return {
            "event": event,
            "step": step,
            "sentence": sentence,
            "elapsed": self.elapsed,
            "passed": self.passed and self.gathered,
            "candidates": [
                {
                    "version": each.version,
                    "requests": each.material.candidate.requests,
                    "errors": each.material.candidate.errors,
                    "stable": {
                        "requests": each.material.stable.requests,
                        "errors": each.material.stable.errors,
                    },
                    "gates": [_lean(verdict, parts).to_document() for verdict in each.verdicts],
                }
                for each in self.candidates
            ],
        }


def _lean(verdict: Verdict, parts: int) -> Verdict:
    """A verdict as it is kept: what failed comes first, and counts where it failed."""
    kept = sorted(verdict.parts, key=lambda part: part.outcome != "fail")
    cells = verdict.cells if parts and verdict.outcome == "fail" else None
    return replace(
        verdict,
        sentence=verdict.sentence[:MOST_SENTENCE],
        cells=cells,
        parts=tuple(_lean(part, parts) for part in kept[:parts]),
    )


def merged(revision: Revision, texts: Mapping[str, str | bytes]) -> Samples:
    """What all replicas have counted within a revision.

    Args:
        revision: Which one; what was counted within others is left out.
        texts: Of each replica, the JSON of its samples.

    Raises:
        StateError: If one is damaged.
        InputError: If they were counted in different cells, ranges or levels.
    """
    found = [Samples.from_json(text) for _, text in sorted(texts.items())]
    return Samples.merged(revision.deployment, revision.number, found)


def decided(revision: Revision, texts: Mapping[str, str | bytes], now: float) -> Decision | None:
    """What `decide` says of the samples of all replicas: what a follower asks.

    Args:
        revision: The newest one.
        texts: Of each replica, the JSON of its samples.
        now: The time by the clock of the revision.

    Raises:
        StateError: If samples are damaged.
        InputError: If samples do not fit each other, or the record of the gates cannot be read.
    """
    return decide(revision, merged(revision, texts), now)


def look(revision: Revision, samples: Samples, now: float, *, brief: bool = False) -> Look | None:
    """What the gates say of a rollout's step.

    The chance of a false abort is shared out over the steps, the candidates and the gates; that of a
    false promotion need not be, since all of them must pass.

    Args:
        revision: The newest one.
        samples: What was counted within it.
        now: The time by the clock of the revision.
        brief: Leave out intervals and forecasts.

    Returns:
        None outside of a rollout that is open.

    Raises:
        InputError: If the record of the gates cannot be read.
    """
    rollout = revision.rollout
    if rollout is None or not rollout.open:
        return None
    gates = gates_of(rollout.gates)
    stages = stages_of(rollout.strategy)
    stage = stages[rollout.step]
    budget = _share(rollout, gates, stages)
    asked = [gate for gate in gates if gate.suits(stage)]
    candidates = []
    for version in _tried(revision.routing, rollout.candidates):
        material = replace(_material(revision.routing, version, samples, stage), brief=brief)
        verdicts = tuple(gate.check(material, budget) for gate in asked)
        candidates.append(Compared(version, material, verdicts))
    elapsed = max(0.0, now - rollout.step_began)
    return Look(rollout.strategy.steps[rollout.step], elapsed, tuple(candidates))


def _share(rollout: RolloutState, gates: Iterable[Gate], stages: Iterable[Stage]) -> Budget:
    """What each gate may use up in each step: of all that will be asked of all candidates."""
    tests = sum(gate.suits(stage) for gate in gates for stage in stages)
    return rollout.budget.over(tests * max(len(rollout.candidates), 1))


def _tried(routing: Routing, candidates: Iterable[Arm]) -> list[str]:
    there = {version for version, _ in routing.models}
    return [arm.version for arm in candidates if arm.version in there]


def _material(routing: Routing, version: str, samples: Samples, stage: Stage) -> Material:
    shadow = samples.shadow
    if stage == "shadow":
        if shadow is None or shadow.version != version:
            return Material(Sample(), Sample(), stage)
        return Material(shadow.live, shadow.shadow, stage, shadow.pairs)
    stable = samples.arms.get(routing.stable.version, Sample())
    return Material(stable, samples.arms.get(version, Sample()), stage)


def decide(revision: Revision, samples: Samples, now: float) -> Decision | None:
    """What happens next, if anything.

    A paused rollout is still given up when a gate fails, and does nothing else by itself.

    Args:
        revision: The newest one.
        samples: What was counted within it.
        now: The time by the clock of the revision.

    Raises:
        InputError: If the record of the gates cannot be read.

    Example:
        >>> from tidegate.routing import Canary
        >>> canary = Canary((Step(10, min_requests=100, min_seconds=0),))
        >>> arm, gates = Arm("1.1.0", 0), ({"kind": "errors"},)
        >>> state = RolloutState("r2", canary, gates, (arm,), "progressing", 0, 0.0, 0.0)
        >>> routing = canary.routing(Routing.alone("1.0.0"), [arm], 0)
        >>> revision = Revision("m", 2, 0.0, "ann", "new", "start", routing, state)
        >>> arms = {"1.0.0": Sample(requests=9_000, errors=9), "1.1.0": Sample(requests=2_000)}
        >>> decision = decide(revision, Samples("m", 2, arms=arms), 60.0)
        >>> decision.event, str(decision.routing)
        ('promote', '1.1.0 100 %')
        >>> arms["1.1.0"] = Sample(requests=1_000, errors=100)
        >>> decision = decide(revision, Samples("m", 2, arms=arms), 60.0)
        >>> decision.event, str(decision.routing)
        ('abort', '1.0.0 100 %')
    """
    rollout, found = revision.rollout, look(revision, samples, now, brief=True)
    if rollout is None or found is None or _next(revision, rollout, found) is None:
        return None
    # Intervals and forecasts are for the record: they cost more than all outcomes.
    whole = look(revision, samples, now)
    return None if whole is None else _next(revision, rollout, whole)


def _next(revision: Revision, rollout: RolloutState, found: Look) -> Decision | None:
    """What a look leads to."""
    bad = [(each.version, verdict) for each in found.candidates for verdict in each.failed]
    if bad:
        version, verdict = bad[0]
        return _decision(
            found,
            rollout,
            "abort",
            revision.routing.settled(),
            "aborted",
            f"{version} fails gate {verdict.gate}: {verdict.sentence}",
        )
    if rollout.phase == "paused":
        return None
    if found.passed and found.gathered:
        return _onward(revision, rollout, found)
    if found.over or (_ends(rollout) and found.elapsed >= found.step.min_seconds):
        reason = f"the time of {_place(rollout)} is over without enough evidence: {_lack(found)}"
        return _decision(found, rollout, "pause", revision.routing, "paused", reason)
    return None


def _ends(rollout: RolloutState) -> bool:
    """Whether the step's least time is also its greatest: a version is kept warm no longer."""
    return stages_of(rollout.strategy)[rollout.step] == "switched"


def _onward(revision: Revision, rollout: RolloutState, found: Look) -> Decision | None:
    """What follows a step that has passed."""
    routing, strategy = revision.routing, rollout.strategy
    place = f"{_place(rollout)} has passed"
    last = rollout.step + 1 == len(strategy.steps)
    inner = strategy.then if isinstance(strategy, ShadowFirst) and rollout.step else strategy
    if isinstance(inner, AB):
        # Which arm is to stay is for people to say.
        if found.over:
            reason = f"{place} and its time is over: promote an arm, or abort"
            return _decision(found, rollout, "pause", routing, "paused", reason)
        return None
    if found.step.pause:
        reason = f"{place}: resume it to go on"
        return _decision(found, rollout, "pause", routing, "paused", reason)
    if not last:
        return _stepped(routing, rollout, found, "step", place)
    if isinstance(strategy, ShadowFirst) and strategy.then is None:
        reason = f"{place}, and nothing follows: promote it, or abort"
        return _decision(found, rollout, "pause", routing, "paused", reason)
    event: Event = "finish" if isinstance(inner, BlueGreen) else "promote"
    chosen = routing.settled(rollout.candidates[0].version)
    return _decision(found, rollout, event, chosen, "promoted", place)


def _stepped(
    routing: Routing, rollout: RolloutState, found: Look, event: Event, reason: str
) -> Decision:
    following = rollout.step + 1
    placed = rollout.strategy.routing(routing, rollout.candidates, following)
    decision = _decision(found, rollout, event, placed, "progressing", reason)
    return replace(decision, step=following)


def resumed(revision: Revision, now: float) -> Decision:
    """What resuming a paused rollout does: the next step where this one had passed, else it again.

    Args:
        revision: The newest one, of a rollout that is paused.
        now: The time by the clock of the revision.

    Raises:
        InputError: If the rollout is not paused.
    """
    rollout = revision.rollout
    if rollout is None or rollout.phase != "paused":
        raise InputError("there is no paused rollout to resume: see its status")
    found = look(revision, Samples(revision.deployment, revision.number), now)
    assert found is not None
    before = rollout.evidence or {}
    waited = before.get("event") == "pause" and before.get("step") == rollout.step
    if waited and before.get("passed") and found.step.pause:
        if rollout.step + 1 < len(rollout.strategy.steps):
            reason = f"resumed after {_place(rollout)}"
            return _stepped(revision.routing, rollout, found, "resume", reason)
        chosen = revision.routing.settled(rollout.candidates[0].version)
        reason = f"resumed after {_place(rollout)}, the last"
        return _decision(found, rollout, "promote", chosen, "promoted", reason)
    reason = f"{_place(rollout)} begins again"
    return _decision(found, rollout, "resume", revision.routing, "progressing", reason)


def _decision(
    found: Look,
    rollout: RolloutState,
    event: Event,
    routing: Routing,
    phase: Phase,
    reason: str,
) -> Decision:
    reason = reason[:MOST_REASON]
    return Decision(
        event, routing, phase, rollout.step, reason, found.evidence(event, rollout.step, reason)
    )


MOST_REASON: Final = 1_000
"""Characters of a reason that are kept; the evidence has all of it."""


def _place(rollout: RolloutState) -> str:
    steps = rollout.strategy.steps
    share = f"{steps[rollout.step].percent:g} %"
    return f"step {rollout.step + 1} of {len(steps)} ({share})"


def _lack(found: Look) -> str:
    """What a step that is over still lacks."""
    if found.requests < found.step.min_requests:
        return f"{found.requests:,} of {found.step.min_requests:,} requests were seen"
    for each in found.candidates:
        for verdict in each.undecided:
            return f"{verdict.gate}: {verdict.sentence}"
    return "nothing was counted"
