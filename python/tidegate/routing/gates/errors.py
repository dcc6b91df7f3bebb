"""The share of requests that fail by the model's fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.monitoring.sequential import Difference
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import points, share
from tidegate.types import Json

__all__ = ["Errors"]

MARGIN: Final = 0.01
"""By how much the share may be higher by default: one point."""


@dataclass(frozen=True, kw_only=True)
class Errors(Gate):
    """No more errors than stable has, within a margin; or no more than an absolute share.

    Attributes:
        margin: By how much the share of failed requests may be above that of stable.
        at_most: The greatest share, whatever stable's is; `margin` is not looked at then.

    Raises:
        InputError: If a share is not between 0 and 1.

    Example:
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Sample
        >>> stable, candidate = Sample(requests=9_500, errors=10), Sample(requests=500, errors=60)
        >>> Errors().check(Material(stable, candidate), Budget()).outcome
        'fail'
    """

    margin: float = MARGIN
    at_most: float | None = None

    kind: ClassVar[str] = "errors"
    stages: ClassVar[frozenset[Stage]] = frozenset({"split", "shadow", "switched"})

    def __post_init__(self) -> None:
        super().__post_init__()
        bound = self.margin if self.at_most is None else self.at_most
        if not 0 < bound < 1:
            raise InputError(
                f"gate {self.name!r}: a share of {bound:g} cannot be tested: give one above 0 and below 1"
            )

    def suits(self, stage: Stage) -> bool:
        """Whether it has something to say in such a step."""
        return super().suits(stage) and (stage != "switched" or self.at_most is not None)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        candidate = material.candidate.error_share
        if self.at_most is not None:
            if not candidate.rows:
                return silent(self.name, "no requests yet", self.at_most)
            return judged(self.name, candidate, self.at_most, budget, share, brief=material.brief)
        stable = material.stable.error_share
        if not (candidate.rows and stable.rows):
            return silent(self.name, "no requests yet", self.margin)
        if material.stage == "shadow":
            budget = budget.paired()
        return judged(
            self.name,
            Difference(stable, candidate),
            self.margin,
            budget,
            points,
            brief=material.brief,
        )

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"margin": self.margin, "at_most": self.at_most}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {
            "margin": table.bounded("margin", MARGIN, 0.0, 1.0),
            "at_most": table.number("at_most"),
        }
