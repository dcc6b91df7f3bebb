"""One set of cases, five clients, two servers: ours, and the real Triton that proves the cases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.conformance.case import CLIENTS, DIES, Case, Found, problem
from tests.conformance.cases import CASES
from tests.conformance.conftest import Find, why_not
from tests.conformance.servers import SPEAKS

ASKED = [
    pytest.param(server, client, case, id=f"{server}-{client}-{case.name}")
    for server in ("tidegate", "triton")
    for client in CLIENTS
    if client in SPEAKS[server]
    for case in CASES
    if case.is_said_by(client)
]


@pytest.mark.conformance
@pytest.mark.parametrize(("server", "client", "case"), ASKED)
def test_case(find: Find, server: str, client: str, case: Case) -> None:
    if reason := why_not(server, client):
        pytest.skip(reason)
    differs = case.difference(server, client)
    if differs and differs.status == DIES:
        pytest.skip(differs.why)
    serving, results = find(server, client)
    found = results[case.name]
    wrong = problem(case, found, serving.version)
    if differs is None:
        assert wrong is None, wrong
        return
    assert wrong is not None, f"no longer differs: {differs.why}"
    assert found.status == differs.status, found.message


def test_the_cases_are_sound() -> None:
    names = Counter(case.name for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(any(case.is_said_by(client) for client in CLIENTS) for case in CASES)
    for case in CASES:
        assert all(why.why and name.split()[0] in SPEAKS for name, why in case.differs.items()), (
            case.name
        )


def test_a_case_can_fail() -> None:
    """What is wrong in an answer is found wherever it is."""
    (case,) = (case for case in CASES if case.name == "one row")
    assert case.gives is not None
    right = Found("ok", outputs=list(case.gives), fields={"model_name": "add_sub"})
    wrong: list[dict[str, Any]] = [
        {"status": "internal"},
        {"outputs": right.outputs[:1]},
        {"outputs": right.outputs[::-1]},
        {"outputs": [*right.outputs[:1], right.outputs[0]]},
        {"fields": {"model_name": "other"}},
        {"fields": None},
    ]
    assert problem(case, right, "1") is None
    for change in wrong:
        made = Found(**{**vars(right), **change})
        assert problem(case, made, "1") is not None, change
