"""Goals and figures: a goal that was not measured is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.bench.budgets import Budget, folder, judge, read_budgets
from tidegate.bench.measure import Figure, figure, quantile
from tidegate.errors import ConfigurationError, InputError


def exactly(value: float) -> Figure:
    return Figure(value, value, value, 1)


@pytest.mark.parametrize(
    ("budget", "value", "status"),
    [
        (Budget("a", "", at_most=2.0), 2.0, "passed"),
        (Budget("a", "", at_most=2.0), 2.01, "missed"),
        (Budget("a", "", at_least=3.0), 3.0, "passed"),
        (Budget("a", "", at_least=3.0), 2.99, "missed"),
        (Budget("a", "", at_least=0.0), 5.0, "passed"),
    ],
)
def test_a_goal_is_met_or_missed(budget: Budget, value: float, status: str) -> None:
    (verdict,) = judge([budget], {"a": exactly(value), "other": exactly(0)})
    assert verdict.status == status


def test_what_is_not_measured_is_not_passed() -> None:
    (verdict,) = judge([Budget("a", "", at_most=2.0)], {})
    assert (verdict.status, verdict.measured) == ("not measured", None)


def test_a_near_goal_is_judged_by_its_bound() -> None:
    near = {"a": Figure(median=0.08, low=0.05, high=0.12, count=10)}
    assert judge([Budget("a", "", at_most=0.1)], near)[0].status == "passed"
    assert judge([Budget("a", "", at_most=0.1, bound=True)], near)[0].status == "missed"
    assert judge([Budget("a", "", at_least=0.06, bound=True)], near)[0].status == "missed"


def test_the_projects_own_budgets_are_read() -> None:
    place = folder()
    assert place is not None
    names = [budget.name for budget in read_budgets(place / "budgets.toml")]
    assert {"embedded_over_bare", "http32_over_starlette", "watching_cost"} <= set(names)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[a]\nwhat = 'x'", "either"),
        ("[a]\nwhat = 'x'\nat_most = 1\nat_least = 1", "either"),
        ("[a]\nwhat = 'x'\nat_mots = 1", "at_mots"),
        ("a", "cannot be read"),
    ],
)
def test_wrong_budgets_are_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=word):
        read_budgets(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_budgets(tmp_path / "nowhere.toml")


def test_figures_and_their_intervals() -> None:
    assert figure([3.0]) == Figure(3.0, 3.0, 3.0, 1)
    assert figure([2.0, 1.0, 3.0, 5.0, 4.0]) == Figure(3.0, 1.0, 5.0, 5)
    eleven = figure([float(value) for value in range(11)])
    assert (eleven.median, eleven.low, eleven.high) == (5.0, 1.0, 9.0)
    thirty = figure([float(value) for value in range(30)])
    assert (thirty.low, thirty.high) == (9.0, 20.0)
    with pytest.raises(InputError):
        figure([])
    with pytest.raises(InputError):
        figure([1.0, float("nan")])


def test_quantiles_are_nearest_ranks() -> None:
    assert [quantile([1.0, 2.0, 3.0], q) for q in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]
