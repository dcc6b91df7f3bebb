"""What holds for every gate: three outcomes, documents, and errors in one sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from tests.routing.gates import material as made

from tidegate.errors import InputError
from tidegate.monitoring.sequential import Proportion
from tidegate.routing.gates import (
    Budget,
    Errors,
    Gate,
    Latency,
    Material,
    Metric,
    Prediction,
    Quality,
    Verdict,
    gates_of,
)
from tidegate.routing.samples import Sample

BUDGET = Budget()
ROWS = 6_000
EVERY = pytest.mark.parametrize("gate", made.EVERY, ids=lambda gate: gate.name)


@EVERY
def test_a_good_candidate_passes_and_a_bad_one_fails(gate: Gate) -> None:
    passed, failed = gate.check(made.good(ROWS), BUDGET), gate.check(made.bad(ROWS), BUDGET)
    assert (passed.outcome, failed.outcome) == ("pass", "fail"), (passed, failed)
    for verdict in (passed, failed):
        assert verdict.gate == gate.name
        assert verdict.rows_to_go == 0
        assert verdict.effect is not None
        assert verdict.interval is not None
        assert verdict.interval[0] <= verdict.effect <= verdict.interval[1]
        assert verdict.rows > 0


@EVERY
def test_nothing_and_little_are_not_enough(gate: Gate) -> None:
    nothing = gate.check(Material(Sample(), Sample()), BUDGET)
    assert nothing.outcome == "not_enough"
    assert nothing.effect is None
    little = gate.check(made.good(3), BUDGET)
    assert little.outcome == "not_enough"
    assert little.rows_to_go is None or little.rows_to_go > 0


@EVERY
def test_documents_round_trip(gate: Gate) -> None:
    [again] = gates_of([gate.to_document()])
    assert again == gate
    for material in (made.good(50), made.bad(2_000), Material(Sample(), Sample())):
        verdict = gate.check(material, BUDGET)
        assert Verdict.from_document(verdict.to_document()) == verdict


@EVERY
def test_gates_of_one_segment_are_gates_of_its_rows(gate: Gate) -> None:
    if not gate.divisible:
        with pytest.raises(InputError, match="segment"):
            replace(gate, segments=("a",))
        return
    good, bad = made.good(ROWS), made.bad(ROWS)
    stable = Sample(segments={"a": good.stable, "b": good.stable})
    candidate = Sample(segments={"a": good.candidate, "b": bad.candidate})
    every = replace(gate, segments=())
    verdict = every.check(Material(stable, candidate), BUDGET)
    assert verdict.outcome == "fail"
    assert verdict.sentence.startswith("b: ")
    assert [part.outcome for part in verdict.parts] == ["pass", "fail"]
    named = replace(gate, segments=("a",))
    assert named.check(Material(stable, candidate), BUDGET).outcome == "pass"
    unseen = replace(gate, segments=("a", "c")).check(Material(stable, candidate), BUDGET)
    assert unseen.outcome == "not_enough"
    assert unseen.rows_to_go is None
    assert gates_of([named.to_document(), replace(every, name="z").to_document()])[0] == named


def test_the_forecast_is_about_right() -> None:
    """With twice as many more rows as are said to be needed, most gates have decided."""
    decided = 0
    for seed in range(20):
        now = Errors().check(made.good(150, seed=100 + 2 * seed), BUDGET)
        if now.outcome != "not_enough" or now.rows_to_go is None:
            decided += 1
            continue
        rows = math.ceil((now.rows + 2 * now.rows_to_go) / 5)
        later = Errors().check(made.good(rows, seed=100 + 2 * seed), BUDGET)
        decided += later.outcome == "pass"
    assert decided >= 14


def test_the_sentence_says_effect_interval_and_margin() -> None:
    verdict = Errors().check(
        Material(Sample(requests=9_000, errors=9), Sample(requests=1_000, errors=101)), BUDGET
    )
    assert verdict.sentence.startswith("+10 points (+")
    assert verdict.sentence.endswith("at most +1 points")


def test_latency_has_a_grace_for_fast_models() -> None:
    fast = made.good(ROWS)
    stable, candidate = (made.sample(ROWS, slower=s, seed=s == 1e-3) for s in (1e-3, 3e-3))
    assert Latency().check(Material(stable, candidate), BUDGET).outcome == "pass"
    strict = Latency(grace=0.0)
    assert strict.check(Material(stable, candidate), BUDGET).outcome == "fail"
    assert strict.check(fast, BUDGET).outcome == "pass"


def test_samples_of_the_same_requests_need_more_evidence() -> None:
    gate = Prediction()
    split = Material(made.sample(1_000), made.sample(1_000, tilt=0.8, seed=1))
    shadow = replace(split, stage="shadow")
    assert gate.check(split, BUDGET).outcome == "fail"
    assert gate.check(shadow, BUDGET).outcome == "not_enough"


def test_where_a_gate_says_something() -> None:
    relative, absolute = Errors(), Errors(at_most=0.01)
    assert relative.suits("split")
    assert relative.suits("shadow")
    assert not relative.suits("switched")
    assert absolute.suits("switched")
    assert not Latency().suits("shadow")
    assert Quality().suits("shadow")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "kind is missing"),
        ({"kind": "latncy"}, "did you mean 'latency'"),
        ({"kind": "errors", "margn": 0.1}, "did you mean 'margin'"),
        ({"kind": "errors", "margin": 0}, "above 0 and below 1"),
        ({"kind": "errors", "margin": "much"}, "give it a number"),
        ({"kind": "errors", "name": "and"}, "not 'and'"),
        ({"kind": "errors", "name": "two words"}, "name it with"),
        ({"kind": "errors", "segments": ["*", "a"]}, "segments is"),
        ({"kind": "features", "segments": ["*"]}, "not counted by segment"),
        ({"kind": "latency", "quantile": 0}, "give a share such as 0.99"),
        ({"kind": "latency", "slower": 0, "grace": 0}, "can never pass"),
        ({"kind": "prediction", "margin": 1}, "above 0 and below 1"),
        ({"kind": "disagreement", "of": "mood"}, "use label, score"),
        ({"kind": "quality", "measure": "joy"}, "use error, brier"),
        ({"kind": "quality", "margin": -0.01}, "give 0, where the candidate must be better"),
        ({"kind": "quality", "at_most": 0}, "nothing is ever at most 0"),
        ({"kind": "metric"}, "metric is missing"),
        ({"kind": "metric", "metric": "revenue"}, "can never pass"),
        ({"kind": "metric", "metric": "revenue", "better": "red"}, "higher or lower"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(document: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        gates_of([document])
    assert "\n" not in str(caught.value)


def test_margins_are_in_the_effect() -> None:
    """A difference within the margin passes and one beyond fails, in either direction of better."""
    # A unit less revenue, and a unit more cost.
    material = Material(made.sample(20_000), made.sample(20_000, revenue=4.0, seed=1))
    for name, better in (("revenue", "higher"), ("cost", "lower")):
        for margin, outcome in ((0.8, "fail"), (1.3, "pass")):
            gate = Metric(metric=name, better=better, margin=margin)  # type: ignore[arg-type]
            assert gate.check(material, BUDGET).outcome == outcome


def test_labels_that_never_come_are_named() -> None:
    verdict = Quality().check(Material(Sample(requests=500), Sample(requests=500)), BUDGET)
    assert verdict.sentence == "no label of the candidate has come yet"
    assert verdict.outcome == "not_enough"


def test_what_is_not_counted_is_named() -> None:
    material = made.good(200)
    quality = Quality(measure="squared_error").check(material, BUDGET)
    assert quality.sentence == "squared_error is not counted of this model: use brier, error"
    latency = Latency(quantile=0.9).check(material, BUDGET)
    assert latency.sentence == "quantile 0.9 is not counted: start the rollout anew"
    assert quality.outcome == latency.outcome == "not_enough"


def test_with_a_margin_of_0_the_candidate_must_be_better() -> None:
    def outcome(wrong: int) -> str:
        stable = Sample(quality={"error": Proportion().count(2_000, 10_000)})
        candidate = Sample(quality={"error": Proportion().count(wrong, 10_000)})
        return Quality(margin=0.0).check(Material(stable, candidate), Budget()).outcome

    assert [outcome(wrong) for wrong in (1_600, 2_000, 2_400)] == ["pass", "not_enough", "fail"]
