"""Thousands of rollouts in virtual time: wrong decisions stay within the stated chances.

`tidegate bench --suite moving` rehearses the same with all gates, and beside fixed thresholds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb
from typing import Any

import numpy as np
import pytest

from tidegate.bench.moving import GATES, SCENARIOS, Scenario
from tidegate.bench.rehearsal import Ending, by_gates
from tidegate.bench.streams import Traffic, Version
from tidegate.routing import Canary, Step
from tidegate.routing.gates import (
    Budget,
    Errors,
    Expression,
    Gate,
    Material,
    Prediction,
    Quality,
    default_gates,
)
from tidegate.routing.samples import Prediction as Predicted
from tidegate.routing.samples import Sample

BUDGET = Budget(0.1, 0.1)
CANARY = Canary((Step(20, 500, 300, 1_800), Step(50, 500, 300, 1_800)))
LONG = Canary((Step(20, 500, 300, 36_000), Step(50, 500, 300, 36_000)))
GOOD = Version()
SEGMENTS = {"north": 0.6, "south": 0.3, "west": 0.1}
BY_SEGMENT = Errors(name="west", margin=0.05, segments=tuple(SEGMENTS))


def most(runs: int, chance: float) -> int:
    """So many of the runs are exceeded with a probability below one in a million."""
    tail, allowed = 1.0, -1
    while tail > 1e-6:
        allowed += 1
        tail -= comb(runs, allowed) * chance**allowed * (1 - chance) ** (runs - allowed)
    return allowed


def ended(
    runs: int,
    candidate: Version,
    gates: Sequence[Gate],
    *,
    canary: Canary = CANARY,
    around: Mapping[str, Any] | None = None,
) -> Counter[str]:
    """How rollouts of a candidate end."""
    made = (
        by_gates(
            Traffic(GOOD, candidate, seed=seed, **(around or {})),
            gates=gates,
            canary=canary,
            budget=BUDGET,
            tick=150.0,
        )
        for seed in range(runs)
    )
    return Counter(ending.outcome for ending in made)


def test_the_bound_of_the_tests_is_that_of_a_binomial() -> None:
    drawn = np.random.default_rng(0).binomial(300, 0.1, 1_000_000)
    assert np.mean(drawn > most(300, 0.1)) < 1e-5
    assert most(300, 0.1) < 70


@pytest.mark.slow
@pytest.mark.parametrize(
    ("candidate", "gate"),
    [
        (replace(GOOD, errors=0.012), Errors()),
        (replace(GOOD, moved=0.1), Prediction()),
        (replace(GOOD, wrong=0.18), Quality(margin=0.03)),
    ],
    ids=["errors", "predictions", "quality"],
)
def test_exactly_at_the_margin_either_error_keeps_its_chance(
    candidate: Version, gate: Gate
) -> None:
    """The worst case of both: such a candidate keeps the margin, and misses it by nothing."""
    runs = 250
    found = ended(runs, candidate, (gate,), around={"labels": 0.5})
    assert found["abort"] <= most(runs, BUDGET.false_abort), found
    assert found["promote"] <= most(runs, BUDGET.false_promotion), found


@pytest.mark.slow
def test_a_candidate_as_good_as_stable_is_promoted() -> None:
    runs = 200
    gates = (Errors(), Prediction(), Quality(margin=0.03))
    found = ended(runs, GOOD, gates, canary=LONG, around={"labels": 0.5})
    # Given the time, the only other end is a false abort.
    assert found["promote"] + found["abort"] == runs, found
    assert found["abort"] <= most(runs, BUDGET.false_abort), found
    assert found["promote"] >= runs * 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("candidate", "gates"),
    [
        (replace(GOOD, errors=0.035), (Errors(), Prediction())),
        (replace(GOOD, moved=0.25), (Errors(), Prediction())),
        (replace(GOOD, wrong=0.27), (Errors(), Quality(margin=0.03))),
        (
            replace(GOOD, segments={"west": replace(GOOD, errors=0.2)}),
            (Errors(margin=0.05), BY_SEGMENT),
        ),
    ],
    ids=["errors", "predictions", "quality", "one segment"],
)
def test_a_worse_candidate_is_aborted(candidate: Version, gates: tuple[Gate, ...]) -> None:
    runs = 150
    around = {"labels": 0.5, "segments": SEGMENTS}
    found = ended(runs, candidate, gates, around=around)
    assert found["promote"] <= most(runs, 0.001), found
    assert found["abort"] >= runs * 0.95, found


@pytest.mark.slow
def test_a_slower_candidate_is_aborted_and_an_equal_one_is_not() -> None:
    for slower, right in ((1.0, "promote"), (1.6, "abort")):
        found = ended(12, replace(GOOD, slower=slower), default_gates(LONG), canary=LONG)
        assert found == {right: 12}


def test_what_happens_to_both_versions_ends_no_rollout() -> None:
    """A dependency that is down for ten minutes, and load that swings."""
    around = {"storms": ((300.0, 900.0, 0.2),), "wave": 0.4}
    found = ended(40, GOOD, (Errors(), Prediction()), canary=LONG, around=around)
    assert found["abort"] <= most(40, BUDGET.false_abort)
    assert found["promote"] >= 36


def test_the_segment_alone_gives_it_away() -> None:
    """A candidate that fails in one segment of ten is within the margin of all requests."""
    candidate = replace(GOOD, segments={"west": replace(GOOD, errors=0.2)})
    around = {"segments": SEGMENTS}
    whole = ended(20, candidate, (Errors(margin=0.05),), around=around)
    parts = ended(20, candidate, (Errors(margin=0.05), BY_SEGMENT), around=around)
    assert whole["abort"] == 0
    assert parts["abort"] >= 19


def test_expressions_keep_the_chances_too() -> None:
    """At the margin of both parts, neither alternative is found to hold or to fail too often."""
    runs = 150
    gates = (
        Errors(name="a"),
        Prediction(name="b"),
        Expression(name="either", when="a or not b"),
    )
    candidate = replace(GOOD, errors=0.012, moved=0.1)
    found = ended(runs, candidate, gates)
    assert found["promote"] <= most(runs, BUDGET.false_promotion), found
    assert found["abort"] <= most(runs, BUDGET.false_abort), found


def test_every_scenario_of_the_suite_ends_as_it_should() -> None:
    def once(scenario: Scenario) -> Ending:
        return by_gates(scenario.traffic(1), gates=GATES)

    judged = [scenario for scenario in SCENARIOS if scenario.right is not None]
    assert [once(scenario).outcome for scenario in judged] == [
        scenario.right for scenario in judged
    ]


def caught(seed: int, share: float) -> tuple[int, int]:
    """A logistic model one of whose features is scaled by 10: requests until the gate says so.

    Returns:
        Of both versions together, and of the broken one.
    """
    rng = np.random.default_rng(seed)
    weights, bias = np.array([0.8, 0.5, -0.4]), -1.3

    def scores(rows: Any) -> Any:
        return 1 / (1 + np.exp(-(bias + rows @ weights)))

    edges = np.quantile(scores(rng.normal(size=(20_000, 3))), np.linspace(0.1, 0.9, 9))
    counts = np.zeros((2, 10), dtype=int)
    budget = Budget().over(2 * len(default_gates(CANARY)))
    for requests in range(20, 10_000, 20):
        rows, tried = rng.normal(size=(20, 3)), rng.random(20) < share
        rows[tried, 0] *= 10
        np.add.at(counts, (tried.astype(int), np.searchsorted(edges, scores(rows))), 1)
        stable, candidate = (Sample(prediction=Predicted(side.tolist())) for side in counts)
        if Prediction().check(Material(stable, candidate, brief=True), budget).outcome == "fail":
            return requests, int(counts[1].sum())
    raise AssertionError("never caught")


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_feature_scaled_by_ten_is_caught_within_500_requests(share: float) -> None:
    found = [caught(seed, share) for seed in range(10)]
    assert max(tried for _, tried in found) <= 300
    if share == 0.5:
        assert max(requests for requests, _ in found) <= 500
