"""The suite of rollouts: how often gates decide rightly, and how soon, beside fixed thresholds.

Nothing is served and no time passes: thousands of rollouts of one canary are rehearsed on drawn requests, by the
same code that moves a real one, and by the rule of a peer on streams of the same kind.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.bench import budgets
from tidegate.bench.measure import Figure, figure
from tidegate.bench.rehearsal import Ending, Thresholds, by_gates, by_thresholds
from tidegate.bench.streams import Traffic, Version
from tidegate.errors import InputError
from tidegate.routing.gates import Errors, Gate, Latency, Prediction, Quality

if TYPE_CHECKING:
    from tidegate.bench.context import Context

__all__ = ["GATES", "SCENARIOS", "Scenario", "measure", "rehearse"]

RUNS: Final = 1_000
"""Rollouts of each scenario in a full run, and"""

FEW: Final = 20
"""in a short look."""

SEGMENTS: Final = {"north": 0.6, "south": 0.3, "west": 0.1}

GATES: Final[tuple[Gate, ...]] = (
    Errors(),
    Errors(name="errors_by_segment", margin=0.05, segments=tuple(SEGMENTS)),
    Latency(),
    Prediction(),
    Quality(margin=0.03),
)
"""The gates of every scenario."""

PEER: Final = "argo_rollouts"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a candidate does.

    Attributes:
        name: In figures.
        candidate: How it behaves.
        stable: What it is compared with.
        right: What should happen: `promote` or `abort`; nothing at the very margin.
        around: What happens to both: storms and waves of `Traffic`.
    """

    name: str
    candidate: Version
    right: str | None
    stable: Version = field(default_factory=Version)
    around: Mapping[str, Any] = field(default_factory=dict)

    def traffic(self, seed: int) -> Traffic:
        """Its requests."""
        return Traffic(
            self.stable, self.candidate, segments=SEGMENTS, labels=0.5, seed=seed, **self.around
        )


GOOD: Final = Version()

SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("same", GOOD, "promote"),
    Scenario("same_in_a_storm", GOOD, "promote", around={"storms": ((120.0, 720.0, 0.08),)}),
    Scenario("same_in_a_wave", GOOD, "promote", around={"wave": 0.4}),
    Scenario("errors_at_the_margin", replace(GOOD, errors=0.012), None),
    Scenario("errors", replace(GOOD, errors=0.032), "abort"),
    Scenario("slower", replace(GOOD, slower=1.5), "abort"),
    Scenario("shifted", replace(GOOD, moved=0.3), "abort"),
    Scenario("wrong", replace(GOOD, wrong=0.25), "abort"),
    Scenario("one_segment", replace(GOOD, segments={"west": replace(GOOD, errors=0.15)}), "abort"),
)
"""What is rehearsed."""


def rehearse(scenario: Scenario, runs: int) -> list[Ending]:
    """Rollouts of a scenario by gates.

    Args:
        scenario: What the candidate does.
        runs: How many.
    """
    return [by_gates(scenario.traffic(seed), gates=GATES) for seed in range(runs)]


def measure(context: Context) -> None:
    """Rehearses every scenario by gates and by the peer's fixed thresholds.

    Args:
        context: Where the figures go: of each scenario `NAME_promoted`, `NAME_aborted` and `NAME_paused` are
            shares of runs, with their intervals, `NAME_minutes` the virtual time until the end, and
            `NAME_requests` what the candidate had got by then; the peer's have `_fixed` behind the name.
    """
    runs = RUNS if context.plan.repetitions >= 3 else FEW
    place = budgets.folder()
    peer = None if place is None else place / "peers" / PEER / "rule.py"
    for scenario in SCENARIOS:
        context.progress(f"moving: {scenario.name}, {runs} rollouts")
        context.attempt(scenario.name, partial(_measure, context, scenario, runs))
        if peer is not None:
            name = f"{scenario.name}_fixed"
            context.attempt(name, partial(_against, context, scenario, runs, peer))
    if peer is None:
        context.results.not_measured["fixed"] = "there is no benches/peers: use the source tree"


def _measure(context: Context, scenario: Scenario, runs: int) -> None:
    _told(context, scenario.name, rehearse(scenario, runs))


def _against(context: Context, scenario: Scenario, runs: int, path: Path) -> None:
    make = _rule(path)
    endings = [by_thresholds(scenario.traffic(seed), make()) for seed in range(runs)]
    _told(context, f"{scenario.name}_fixed", endings)


def _told(context: Context, name: str, endings: Sequence[Ending]) -> None:
    figures = context.results.figures
    figures |= dict(_shares(name, endings))
    figures[f"{name}_minutes"] = figure([ending.seconds / 60 for ending in endings])
    figures[f"{name}_requests"] = figure([float(ending.requests) for ending in endings])


def _shares(name: str, endings: Sequence[Ending]) -> Iterator[tuple[str, Figure]]:
    from tidegate.monitoring.sequential import Proportion

    counts = Counter(ending.outcome for ending in endings)
    ends = {"promote": "promoted", "abort": "aborted", "pause": "paused"}
    for outcome, word in ends.items():
        share = Proportion().count(counts[outcome], len(endings))
        found = counts[outcome] / len(endings)
        yield f"{name}_{word}", Figure(found, *share.interval(), len(endings))


def _rule(path: Path) -> Callable[[], Thresholds]:
    """The class in the peer's file, which needs nothing but the standard library."""
    spec = importlib.util.spec_from_file_location("fixed_thresholds", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no module: restore it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[], Thresholds] = module.FixedThresholds
    return made
