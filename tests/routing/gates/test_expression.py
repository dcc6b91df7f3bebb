"""Expressions: Kleene's logic, the grammar, the budget, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.gates.material import joined

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.gates import Budget, Expression, Gate, Material, Outcome, Verdict, gates_of
from tidegate.routing.samples import Sample
from tidegate.types import Json

NOTHING = Material(Sample(), Sample())
TRUTH: dict[Outcome, bool | None] = {"pass": True, "fail": False, "not_enough": None}


@dataclass(frozen=True, kw_only=True)
class Said(Gate):
    """A gate that says what it is told to, with the budget that it was given."""

    outcome: Outcome
    kind: ClassVar[str] = "said"

    def judge(self, material: Material, budget: Budget) -> Verdict:
        del material
        chances = f"{budget.false_abort:.4f} {budget.false_promotion:.4f}"
        return Verdict(self.name, self.outcome, chances, rows_to_go=7)

    def keys(self) -> dict[str, Json]:
        return {}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        raise NotImplementedError(table.place)


def outcome(when: str, **values: Outcome) -> Outcome:
    gates = (Said(name=name, outcome=value) for name, value in values.items())
    return joined(when, *gates).check(NOTHING, Budget()).outcome


@pytest.mark.parametrize(("a", "b"), list(product(get_args(Outcome), repeat=2)))
def test_kleenes_tables(a: Outcome, b: Outcome) -> None:
    x, y = TRUTH[a], TRUTH[b]
    both = False if x is False or y is False else None if None in (x, y) else True
    either = True if x or y else None if None in (x, y) else False
    assert TRUTH[outcome("a and b", a=a, b=b)] is both
    assert TRUTH[outcome("a or b", a=a, b=b)] is either
    assert TRUTH[outcome("not a", a=a)] is (None if x is None else not x)


def test_and_binds_before_or_and_not_before_and() -> None:
    assert outcome("a or b and c", a="pass", b="fail", c="fail") == "pass"
    assert outcome("(a or b) and c", a="pass", b="fail", c="fail") == "fail"
    assert outcome("not a and b", a="fail", b="fail") == "fail"
    assert outcome("not (a and b)", a="fail", b="fail") == "pass"


def _python(when: str, values: dict[str, bool]) -> bool:
    return bool(eval(when, {"__builtins__": {}}, values))


TERMS: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda inner: (
        inner.map("not {}".format).map("({})".format)
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: "({} {} {})".format(*parts)
        )
    ),
    max_leaves=8,
)


@given(TERMS, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_decided_expressions_are_those_of_python(when: str, values: tuple[bool, ...]) -> None:
    named = dict(zip("abc", values, strict=True))
    said: dict[str, Outcome] = {name: "pass" if value else "fail" for name, value in named.items()}
    used = {name: said[name] for name in Expression(name="e", when=when).names}
    assert (outcome(when, **used) == "pass") == _python(when, named)


def test_the_budget_is_shared_out() -> None:
    def chances(when: str) -> str:
        gates = (Said(name="a", outcome="pass"), Said(name="b", outcome="pass"))
        verdict = joined(when, *gates).check(NOTHING, Budget(0.1, 0.02))
        return verdict.parts[0].sentence

    # All must pass: a false promotion needs the one that should not.
    assert chances("a and b") == "0.0500 0.0200"
    assert chances("a or b") == "0.0500 0.0100"
    # What fails may let another pass: both chances are the smaller one.
    assert chances("a and not b") == "0.0100 0.0100"


def test_what_is_named_stands_no_longer_for_itself() -> None:
    plan = [
        {"kind": "errors"},
        {"kind": "latency"},
        {"kind": "expression", "name": "fast", "when": "latency or slow"},
        {"kind": "latency", "name": "slow", "at_most": "1s"},
        {"kind": "expression", "name": "fine", "when": "fast and not calm"},
        {"kind": "prediction", "name": "calm"},
    ]
    gates = gates_of(plan)
    assert [gate.name for gate in gates] == ["errors", "fine"]
    fine = gates[1]
    assert isinstance(fine, Expression)
    assert [gate.name for gate in fine.gates] == ["fast", "calm"]
    assert fine.check(NOTHING, Budget()).outcome == "not_enough"


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("", "when is missing"),
        ("errors and", "ends where a gate is missing"),
        ("and errors", "has 'and' where a gate is missing"),
        ("errors errors", "has 'errors' too much"),
        ("(errors", "not closed"),
        ("errors)", r"has '\)' too much"),
        ("errors & latency", "has '&'"),
        ("errors or nonsense", "no gate 'nonsense'"),
        ("joined", "made of itself"),
        ("other", "made of itself"),
        ("not " * 30 + "errors", "nested more than"),
        ("errors and " * 200 + "errors", "characters"),
    ],
)
def test_what_cannot_be_read_is_refused(when: str, says: str) -> None:
    plan = [
        {"kind": "errors"},
        {"kind": "expression", "name": "joined", "when": when},
        {"kind": "expression", "name": "other", "when": "joined"},
    ]
    with pytest.raises(InputError, match=says):
        gates_of(plan)
