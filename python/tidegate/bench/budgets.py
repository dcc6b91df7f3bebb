"""The goals in `benches/budgets.toml`, and whether a run has met them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tidegate.bench.measure import Figure
from tidegate.errors import ConfigurationError

__all__ = ["Budget", "Verdict", "folder", "judge", "read_budgets"]

FOLDER: Final = "TIDEGATE_BENCHES"
"""Environment variable that names the folder with the budgets and the peers."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One goal.

    Attributes:
        name: How the measurement is called.
        what: The sentence that a report prints.
        at_most: The greatest value that is good enough, if it is bounded above.
        at_least: The least value that is good enough, if it is bounded below.
        suite: The suite that measures it; it is judged in a run of that suite only.
        bound: Whether the worse end of the interval is judged instead of the median.
    """

    name: str
    what: str
    at_most: float | None = None
    at_least: float | None = None
    suite: str = "basic"
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what became of it.

    Attributes:
        budget: The goal.
        measured: The figure, or `None` if there is none.
        status: What is not measured is never passed.
    """

    budget: Budget
    measured: Figure | None
    status: Literal["passed", "missed", "not measured"]


def folder() -> Path | None:
    """The folder `benches` of the source tree, which holds the budgets and the peers.

    Returns:
        What `TIDEGATE_BENCHES` names, or `benches` beside the package's source or in the working
        directory; `None` if there is none, as in an installation from a wheel.
    """
    given = os.environ.get(FOLDER)
    source = Path(__file__).resolve().parents[3] / "benches"
    candidates = [Path(given)] if given else [source, Path("benches")]
    return next((path for path in candidates if (path / "budgets.toml").is_file()), None)


def read_budgets(path: Path) -> list[Budget]:
    """Reads the goals.

    Args:
        path: A TOML file with one table a goal.

    Returns:
        The goals in the order of the file.

    Raises:
        ConfigurationError: The file cannot be read, or a goal has no bound or an unknown field.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the budgets in {path} cannot be read: {error}") from error
    budgets = []
    for name, fields in tables.items():
        try:
            budget = Budget(name=name, **fields)
        except TypeError as error:
            raise ConfigurationError(f"budget {name!r} in {path}: {error}") from error
        if (budget.at_most is None) == (budget.at_least is None):
            raise ConfigurationError(f"budget {name!r} in {path}: give either at_most or at_least")
        budgets.append(budget)
    return budgets


def judge(
    budgets: Sequence[Budget],
    measured: Mapping[str, Figure],
    *,
    suites: Sequence[str] = ("basic",),
) -> list[Verdict]:
    """Holds the figures against the goals.

    Args:
        budgets: The goals.
        measured: Figures by the names of goals.
        suites: The suites that were run: goals of others are left out.

    Returns:
        One verdict a goal, in the same order.

    >>> goal = Budget("cost", "what it costs", at_most=2.0, bound=True)
    >>> [verdict.status for verdict in judge([goal], {"cost": Figure(1.9, 1.8, 2.1, 10)})]
    ['missed']
    >>> [verdict.status for verdict in judge([goal], {})]
    ['not measured']
    """
    verdicts = []
    for budget in budgets:
        if budget.suite not in suites:
            continue
        found = measured.get(budget.name)
        if found is None:
            verdicts.append(Verdict(budget, None, "not measured"))
            continue
        if budget.at_most is not None:
            value = found.high if budget.bound else found.median
            good = value <= budget.at_most
        else:
            value = found.low if budget.bound else found.median
            good = budget.at_least is not None and value >= budget.at_least
        verdicts.append(Verdict(budget, found, "passed" if good else "missed"))
    return verdicts
