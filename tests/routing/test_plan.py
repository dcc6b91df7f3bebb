"""A routing that exists can be served; what cannot be is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from tests.routing.strategies import routings

from tidegate.errors import InputError
from tidegate.routing import (
    Arm,
    Experiment,
    Key,
    Metric,
    Observe,
    Routing,
    Rule,
    Shadow,
)
from tidegate.routing.weights import FULL, basis_points

STABLE = Arm("1.0.0", 9_000)
CANDIDATE = Arm("1.1.0", 1_000, "candidate")
WHOLE = Arm("1.0.0", FULL)


@given(routings())
def test_documents_round_trip(routing: Routing) -> None:
    document = json.loads(json.dumps(routing.to_document()))
    assert Routing.from_document(document) == routing


@given(routings())
def test_settling_gives_one_version_everything(routing: Routing) -> None:
    for version, digest in routing.models:
        settled = routing.settled(version)
        assert settled.arms == (Arm(version, FULL, "stable", digest),)
        assert (settled.shadow, settled.experiment) == (None, None)
        assert settled.key == routing.key
        assert {rule.version for rule in settled.rules} <= {version}
    assert routing.settled().stable.version == routing.stable.version


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Routing(()), "without arms"),
        (lambda: Routing((STABLE,)), "add up to 90 % .*make it 100 %"),
        (lambda: Routing((STABLE, CANDIDATE, CANDIDATE)), "version 1.1.0 is there 2 times"),
        (lambda: Routing((Arm("1.0.0", FULL, "arm"),)), "0 stable arms"),
        (lambda: Routing((STABLE, Arm("2.0.0", 1_000))), "2 stable arms"),
        (lambda: Routing((WHOLE,), Shadow("1.0.0")), "both an arm and the shadow"),
        (
            lambda: Routing((WHOLE,), rules=(Rule("header", "x", ("a",), "9.0.0"),)),
            "sends requests to 9.0.0, which is no arm: the arms are 1.0.0",
        ),
        (lambda: Routing(tuple(Arm(f"1.0.{i}", 0) for i in range(17))), "17 versions are too many"),
        (lambda: Routing((WHOLE,)).settled("2.0.0"), "version 2.0.0 is not in this routing"),
        (lambda: Arm("1.0", FULL), "not a semantic version"),
        (lambda: Arm("1.0.0", -1), "weight of 1.0.0 is -1"),
        (lambda: Arm("1.0.0", FULL, "king"), "role of 1.0.0 is 'king'"),  # type: ignore[arg-type]
        (lambda: Arm("1.0.0", FULL, digest="md5:1"), "digest 'md5:1'"),
        (lambda: Shadow("1.0.0", 0), "share of shadow 1.0.0 is 0"),
        (lambda: Key("cookie", "x"), "routing key is from 'cookie'"),  # type: ignore[arg-type]
        (lambda: Key("header"), "the header of the routing key is None"),
        (lambda: Key("header", "X-User"), "lower-case"),
        (lambda: Rule("header", "x", ("a\n",), "1.0.0"), "plain text"),
        (lambda: Key("request", "x"), "which has no name"),
        (lambda: Rule("request", "x", ("a",), "1.0.0"), "rule is from"),  # type: ignore[arg-type]
        (lambda: Rule("header", "x", (), "1.0.0"), "has 0 values"),
        (lambda: Experiment("a b"), "experiment 'a b'"),
        (lambda: Experiment("a", begin=5, end=5), "begin below its end"),
        (lambda: Metric("revenue", 1, 1), "low below its high"),
        (lambda: Metric("revenue", 0, float("inf")), "finite low"),
        (lambda: Observe(quantiles=(1.0,)), "observed quantiles"),
        (lambda: Observe(tolerance=float("nan")), "observed tolerance"),
        (lambda: Observe(metrics=(Metric("a", 0, 1),) * 2), "metric a is there 2 times"),
        (lambda: basis_points(33.333, "w"), "two decimals"),
        (lambda: basis_points(float("nan"), "w"), "two decimals"),
        (lambda: Routing.from_document({"arms": [{"version": "1.0.0"}]}), "weight is -1"),
        (lambda: Routing.from_document({"arm": []}), "no key 'arm': did you mean 'arms'"),
        (
            lambda: Routing.from_document({"arms": [], "observe": {"metrics": [{"name": "a"}]}}),
            "metric 'a' has no low or no high",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_headers_have_no_case() -> None:
    document = {**Routing((WHOLE,)).to_document(), "key": {"from": "header", "name": "X-User"}}
    assert Routing.from_document(document).key == Key("header", "x-user")
