"""The gates of a plan: defaults, what must be counted for them, and what can never be known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidegate.errors import InputError
from tidegate.routing import (
    AB,
    BlueGreen,
    Canary,
    Observe,
    ShadowFirst,
    Step,
    Strategy,
)
from tidegate.routing import (
    Metric as Ranged,
)
from tidegate.routing.gates import (
    Budget,
    Disagreement,
    Errors,
    Expression,
    Features,
    Gate,
    Latency,
    Metric,
    Prediction,
    Quality,
    checked,
    default_gates,
    gates_of,
    stages_of,
)
from tidegate.routing.toml import plan_from_toml

PAGE = Path(__file__).parents[3] / "docs" / "rollouts.md"
TWO = Canary((Step(5), Step(50)))
STRATEGIES: tuple[Strategy, ...] = (
    TWO,
    BlueGreen(),
    AB("colour", (("1.1.0", 50.0),)),
    ShadowFirst(then=TWO),
    ShadowFirst(then=BlueGreen()),
    ShadowFirst(then=None),
)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.kind)
def test_default_gates_suit_every_step(strategy: Strategy) -> None:
    gates = default_gates(strategy)
    stages = stages_of(strategy)
    assert len(stages) == len(strategy.steps)
    for stage in stages:
        assert any(gate.suits(stage) for gate in gates), stage
    assert len({gate.name for gate in gates}) == len(gates)
    assert gates_of([gate.to_document() for gate in gates]) == gates
    assert checked(strategy, gates, Observe()) == Observe()


def test_default_gates_are_those_of_the_page() -> None:
    assert default_gates(TWO) == (Errors(), Latency(), Prediction())
    assert default_gates(AB("colour", (("1.1.0", 50.0),))) == (Errors(), Latency())
    assert default_gates(BlueGreen()) == (Errors(at_most=0.05),)
    assert {gate.kind for gate in default_gates(ShadowFirst(then=TWO))} == {
        "errors",
        "latency",
        "prediction",
        "disagreement",
    }


def test_what_must_be_counted_follows_from_the_gates() -> None:
    gates: tuple[Gate, ...] = (
        Latency(quantile=0.5),
        Features(),
        Expression(name="e", when="x", gates=(Latency(name="x", quantile=0.9),)),
    )
    observe = checked(TWO, gates, Observe(features=False))
    assert observe.quantiles == (0.99, 0.5, 0.9)
    assert observe.features


@pytest.mark.parametrize(
    ("strategy", "gate", "says"),
    [
        (TWO, Disagreement(), "says nothing in a canary: begin with a shadow"),
        (BlueGreen(), Errors(), "stable gets no requests to compare with"),
        (BlueGreen(), Quality(), "stable gets no requests to compare with"),
        (BlueGreen(), Disagreement(), "begin with a shadow"),
        (ShadowFirst(then=None), Latency(), "take it out"),
        (TWO, Metric(metric="revenue", margin=1), "range of metric 'revenue' is not stated"),
        (TWO, Errors(segments=()), "observe.segment names no column"),
    ],
)
def test_a_gate_that_can_never_pass_is_refused(strategy: Strategy, gate: Gate, says: str) -> None:
    with pytest.raises(InputError, match=says):
        checked(strategy, (gate,), Observe())


def test_an_expression_needs_all_its_gates_in_one_step() -> None:
    parts = (Disagreement(), Latency())
    mixed = Expression(name="both", when="disagreement and latency", gates=parts)
    with pytest.raises(InputError, match="no step has all of"):
        checked(ShadowFirst(then=TWO), (mixed,), Observe())


def test_labels_that_never_came_are_known_at_the_start() -> None:
    for labels in (None, True):
        checked(TWO, (Quality(),), Observe(), labels=labels)
    with pytest.raises(InputError, match="no label has ever come"):
        checked(
            TWO,
            (Expression(name="e", when="q", gates=(Quality(name="q"),)),),
            Observe(),
            labels=False,
        )
    checked(TWO, (Errors(),), Observe(), labels=False)


def test_metrics_with_a_range_and_segments_with_a_column_are_taken() -> None:
    observe = Observe(segment="origin", metrics=(Ranged("revenue", 0, 100),))
    gates = (Metric(metric="revenue", margin=1), Errors(name="e", segments=("EWR",)))
    assert checked(TWO, gates, observe) == observe


def test_names_are_unique_and_few() -> None:
    with pytest.raises(InputError, match="already"):
        gates_of([{"kind": "errors"}, {"kind": "errors"}])
    with pytest.raises(InputError, match="more gates than 100"):
        gates_of([{"kind": "errors", "name": f"e{number}"} for number in range(101)])


def test_budgets_are_probabilities() -> None:
    assert Budget.from_document(Budget(0.1, 0.2).to_document()) == Budget(0.1, 0.2)
    assert Budget.from_document(None) == Budget()
    for document, says in (
        ({"false_abort": 0}, "from 1e-06 to 0.5"),
        ({"false_promotion": 0.9}, "from 1e-06 to 0.5"),
        ({"false_abrt": 0.1}, "did you mean 'false_abort'"),
    ):
        with pytest.raises(InputError, match=says):
            Budget.from_document(document)
    with pytest.raises(InputError, match="probability"):
        Budget(1.0)


def test_the_plan_of_the_page_is_one() -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    plan = plan_from_toml(found[1])
    assert plan.gates is not None
    assert plan.strategy is not None
    assert plan.observe is not None
    gates = gates_of(plan.gates)
    assert [gate.name for gate in gates] == ["errors", "errors_by_origin", "latency", "metric"]
    checked(plan.strategy, gates, plan.observe)
