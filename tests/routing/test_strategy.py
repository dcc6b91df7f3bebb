"""Strategies: their steps, the routing of each, and plans that can never end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from tests.routing.strategies import STRATEGIES

from tidegate.errors import InputError
from tidegate.routing import AB, Arm, BlueGreen, Canary, Key, Routing, ShadowFirst, Step, Strategy
from tidegate.routing.strategy import strategy_of
from tidegate.routing.weights import FULL

BASE = Routing((Arm("99.0.0", FULL),), key=Key("header", "x-user"))


@given(STRATEGIES)
def test_documents_round_trip(strategy: Strategy) -> None:
    assert strategy_of(json.loads(json.dumps(strategy.to_document()))) == strategy


@given(STRATEGIES)
def test_every_step_is_a_routing_from_which_the_next_follows(strategy: Strategy) -> None:
    candidates = [Arm(version, 0) for version in strategy.versions or ("98.0.0",)]
    routing, before = BASE, -1
    for number, step in enumerate(strategy.steps):
        routing = strategy.routing(routing, candidates, number)
        assert routing.stable.version == "99.0.0"
        assert routing.key == BASE.key
        assert {version for version, _ in routing.models} == {
            "99.0.0",
            *(arm.version for arm in candidates),
        }
        if routing.candidate is not None:
            assert routing.candidate.weight == step.weight > before
            before = routing.candidate.weight
    with pytest.raises(InputError, match="no step"):
        strategy.routing(BASE, candidates, len(strategy.steps))
    with pytest.raises(InputError, match="is the stable one already"):
        strategy.routing(Routing.alone(candidates[0].version), candidates, 0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Step(0), "0 % can never gather its minimum"),
        (lambda: Step(5, max_seconds=60.0), "can never gather its minimum: raise max_seconds"),
        (lambda: Step(5, -1), "min_requests is -1"),
        (lambda: Step(5, min_seconds=float("nan")), "min_seconds is nan"),
        (lambda: Canary(()), "0 steps"),
        (lambda: Canary((Step(5), Step(5))), "make each larger"),
        (lambda: Canary((Step(5), Step(100))), "promotion follows the last step"),
        (lambda: BlueGreen(-1), "keep_warm is -1"),
        (lambda: AB("a", ()), "0 new arms"),
        (lambda: AB("a", (("1.0.0", 100.0),)), "leave the stable version a share"),
        (lambda: AB("a", (("1.0.0", 50.0),), span=(50.0, 50.0)), "begin below its end"),
        (lambda: ShadowFirst(then=ShadowFirst()), "shadow is followed by a shadow"),
        (
            lambda: ShadowFirst(then=AB("a", (("1.0.0", 5.0), ("1.1.0", 5.0)))),
            "experiment with 2 new arms follows",
        ),
        (lambda: Canary().routing(BASE, [Arm("1.0.0", 0), Arm("1.1.0", 0)], 0), "and not 2"),
        (lambda: AB("a", (("1.1.0", 50.0),)).routing(BASE, [Arm("1.0.0", 0)], 0), "no candidate"),
        (lambda: strategy_of({}), "kind is missing"),
        (lambda: strategy_of({"kind": "canary", "step": []}), "did you mean 'steps'"),
        (lambda: strategy_of({"kind": "canary", "steps": [{}]}), "percent is missing"),
        (lambda: strategy_of({"kind": "shadow", "only": True, "then": {}}), "choose one"),
        (lambda: strategy_of({"kind": "shadow", "then": {"kind": "shadow"}}), "followed by"),
        (lambda: strategy_of({"kind": "ab", "experiment": "a", "span": [1]}), "two percentages"),
    ],
)
def test_what_can_never_end_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_plan_as_people_write_it() -> None:
    assert strategy_of({"kind": "shadow", "share": 20, "max_seconds": "1h"}) == ShadowFirst(
        20.0, max_seconds=3_600.0
    )
    assert strategy_of({"kind": "shadow", "only": True}) == ShadowFirst(then=None)
