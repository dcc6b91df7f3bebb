"""A rollout's status for people and programs, and what can be told about its end."""

from __future__ import annotations

from tidegate.routing.gates import Verdict
from tidegate.routing.revision import Revision
from tidegate.routing.rollout import Look, look
from tidegate.routing.samples import Sample, Samples
from tidegate.routing.strategy import Strategy
from tidegate.routing.summary import summary
from tidegate.types import Json

__all__ = ["status", "unreachable"]

LEAST_SECONDS = 30.0
"""Seconds of a step after which its rate is taken for what it will be."""


def status(revision: Revision, samples: Samples, now: float) -> dict[str, Json]:
    """How a deployment's rollout stands.

    Args:
        revision: The newest one.
        samples: What was counted within it.
        now: The time by the clock of the revision.

    Returns:
        Those of `tidegate.routing.summary`, and beside them `replicas`; for each of `arms` and for the
        `shadow` what was counted (`requests`, `errors`, `refused`); and for the `rollout` `elapsed`,
        `min_requests`, `requests`, `min_seconds`, `max_seconds`, `budget`, `gates` (each a verdict with
        `version` and `seconds_to_go`), `warnings` (what will never be) and `evidence`.
    """
    rollout, found = revision.rollout, look(revision, samples, now)
    document = {**summary(revision), "replicas": samples.replicas}
    for arm in document["arms"]:
        arm |= _counts(samples.arms.get(arm["version"], Sample()))
    if document["shadow"] is not None:
        seen = samples.shadow
        document["shadow"] |= _counts(Sample() if seen is None else seen.shadow)
        document["shadow"]["dropped"] = 0 if seen is None else seen.pairs.dropped
    if rollout is not None:
        document["rollout"] |= {
            "began": rollout.began,
            "budget": rollout.budget.to_document(),
            "evidence": rollout.evidence,
            **({} if found is None else _looked(found)),
        }
    return document


def _counts(sample: Sample) -> dict[str, Json]:
    return {"requests": sample.requests, "errors": sample.errors, "refused": sample.refused}


def _looked(found: Look) -> dict[str, Json]:
    return {
        "elapsed": found.elapsed,
        "min_seconds": found.step.min_seconds,
        "max_seconds": found.step.max_seconds,
        "min_requests": found.step.min_requests,
        "requests": found.requests,
        "gates": [
            {
                "version": each.version,
                **verdict.to_document(),
                "seconds_to_go": _seconds(verdict, found.elapsed),
            }
            for each in found.candidates
            for verdict in each.verdicts
        ],
        "warnings": [*_warnings(found)],
    }


def _seconds(verdict: Verdict, elapsed: float) -> float | None:
    """How long the evidence that is still needed will take at the rate so far."""
    if verdict.rows_to_go is None:
        return None
    if not verdict.rows_to_go:
        return 0.0
    return elapsed * verdict.rows_to_go / verdict.rows if verdict.rows else None


def _warnings(found: Look) -> list[str]:
    """What cannot be had within the time of the step, if things go on like this."""
    step, elapsed = found.step, found.elapsed
    if elapsed < LEAST_SECONDS:
        return []
    warnings = []
    most = step.max_seconds
    if most is not None and found.requests < step.min_requests:
        expected = found.requests * most / elapsed
        if expected < step.min_requests:
            warnings.append(
                f"the candidate will have seen about {expected:,.0f} of {step.min_requests:,} requests "
                f"when the {most:g} s of this step are over: raise its share or max_seconds"
            )
    for each in found.candidates:
        for verdict in each.undecided:
            needed = _seconds(verdict, elapsed)
            if each.material.candidate.requests and verdict.effect is None:
                warnings.append(f"gate {verdict.gate} has nothing to look at: {verdict.sentence}")
            elif most is not None and needed is not None and elapsed + needed > most:
                warnings.append(
                    f"gate {verdict.gate} is likely to need {needed:,.0f} s more, and the step ends "
                    f"after {max(0.0, most - elapsed):,.0f} s: the rollout will pause there"
                )
    return warnings


def unreachable(strategy: Strategy, requests_per_second: float) -> str | None:
    """Which step can never gather its minimum, at a rate of the whole deployment.

    Args:
        strategy: In which steps.
        requests_per_second: Of all versions together.

    Returns:
        One sentence about the first such step; `None` where there is none.

    Example:
        >>> from tidegate.routing import Canary, Step
        >>> unreachable(Canary((Step(1, min_requests=500, max_seconds=600),)), 10.0)
        'step 1 can never gather its minimum: 1 % of 10 requests a second are 60 in 600 s, and it asks for 500: raise its share or max_seconds, or ask for fewer'
    """
    for number, step in enumerate(strategy.steps, 1):
        if step.max_seconds is None:
            continue
        expected = requests_per_second * step.percent / 100 * step.max_seconds
        if expected < step.min_requests:
            return (
                f"step {number} can never gather its minimum: {step.percent:g} % of "
                f"{requests_per_second:g} requests a second are {expected:,.0f} in "
                f"{step.max_seconds:g} s, and it asks for {step.min_requests:,}: raise its share or "
                "max_seconds, or ask for fewer"
            )
    return None
