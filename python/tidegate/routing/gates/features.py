"""The distributions of the raw features that either version is asked with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from tidegate.configuration.table import Table
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.distribution import apart, check_distance
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material
from tidegate.routing.gates.verdict import Verdict, combined, silent
from tidegate.routing.plan import Observe
from tidegate.types import Json

__all__ = ["Features"]

MARGIN: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Features(Gate):
    """The candidate is asked the same kind of questions as stable, within a margin.

    Where it is not, the split is not fair (a rule, a key that goes with the segment), and no other
    comparison says anything about the versions. Each feature is tested with a part of the chance of a
    false abort, and all must pass.

    Attributes:
        margin: The greatest difference of the share of any cell, or of all cells up to one.
        columns: Which features; all that are watched where none is named.

    Raises:
        InputError: If the margin is not between 0 and 1.

    Example:
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Sample
        >>> old, new = Sample(features={"x": [500, 500]}), Sample(features={"x": [480, 20]})
        >>> Features().check(Material(old, new), Budget()).outcome
        'fail'
    """

    margin: float = MARGIN
    columns: tuple[str, ...] = ()

    kind: ClassVar[str] = "features"
    divisible: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_distance(self.name, self.margin)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        stable, candidate = material.stable.features, material.candidate.features
        columns = self.columns or tuple(sorted({*stable, *candidate}))
        if not columns:
            return silent(self.name, "no feature was counted yet", self.margin)
        share = budget.over(len(columns))
        parts = []
        for column in columns:
            old, new = stable.get(column, []), candidate.get(column, [])
            if old and new:
                parts.append(apart(column, old, new, self.margin, share, material))
            else:
                parts.append(silent(column, "was not counted yet", self.margin))
        return combined(self.name, parts)

    def observed(self, observe: Observe) -> Observe:
        """What must be counted for it, beside what is counted already."""
        return replace(super().observed(observe), features=True)

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"margin": self.margin, "columns": list(self.columns) or None}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {
            "margin": table.bounded("margin", MARGIN, 0.0, 1.0),
            "columns": table.texts("columns"),
        }
