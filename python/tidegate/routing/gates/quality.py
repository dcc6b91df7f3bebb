"""Quality by the labels that come late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, get_args

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.monitoring.sequential import Difference, Mean, Proportion
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import number
from tidegate.types import Json

__all__ = ["Quality"]

Measure = Literal["error", "brier", "log_loss", "squared_error"]
"""Of all of them, less is better."""

MARGIN: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Quality(Gate):
    """No worse than stable by the labels of the predictions of this step, within a margin.

    Attributes:
        measure: Of a classifier `error` (the share of wrong labels), and where it gives probabilities
            `brier` and `log_loss` (as a part of the greatest there is); of a regression whose span is
            known `squared_error`.
        margin: By how much it may be worse; with 0 it must be better, and one that is only as good
            is never decided about.
        at_most: The greatest value, whatever stable's is; `margin` is not looked at then.

    Raises:
        InputError: If the margin cannot be tested.

    Example:
        >>> from tidegate.monitoring.sequential import Proportion
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Sample
        >>> old = Sample(quality={"error": Proportion().count(200, 2_000)})
        >>> new = Sample(quality={"error": Proportion().count(400, 2_000)})
        >>> Quality().check(Material(old, new), Budget()).outcome
        'fail'
        >>> Quality().check(Material(old, Sample()), Budget()).sentence
        'no label of the candidate has come yet'
    """

    measure: Measure = "error"
    margin: float = MARGIN
    at_most: float | None = None

    kind: ClassVar[str] = "quality"
    stages: ClassVar[frozenset[Stage]] = frozenset({"split", "shadow", "switched"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure not in get_args(Measure):
            raise InputError(
                f"gate {self.name!r}: measure {self.measure!r}: use {', '.join(get_args(Measure))}"
            )
        if self.at_most is None and not self.margin >= 0:
            raise InputError(
                f"gate {self.name!r}: a margin of {self.margin:g}: give 0, where the candidate must be "
                "better, or by how much it may be worse"
            )
        if self.at_most is not None and not self.at_most > 0:
            raise InputError(
                f"gate {self.name!r}: nothing is ever at most {self.at_most:g}: give more"
            )

    def suits(self, stage: Stage) -> bool:
        """Whether it has something to say in such a step."""
        return super().suits(stage) and (stage != "switched" or self.at_most is not None)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        candidate = material.candidate.quality.get(self.measure)
        limit = self.margin if self.at_most is None else self.at_most
        if candidate is None and material.candidate.quality:
            there = ", ".join(sorted(material.candidate.quality))
            why = f"{self.measure} is not counted of this model: use {there}"
            return silent(self.name, why, limit)
        if candidate is None or not candidate.rows:
            return silent(self.name, "no label of the candidate has come yet", limit)
        if self.at_most is not None:
            return judged(self.name, candidate, self.at_most, budget, number, brief=material.brief)
        stable = material.stable.quality.get(self.measure)
        if material.stage == "shadow":
            budget = budget.paired()
        if isinstance(stable, Proportion) and isinstance(candidate, Proportion) and stable.rows:
            shares = Difference(stable, candidate)
            return judged(self.name, shares, self.margin, budget, number, brief=material.brief)
        if isinstance(stable, Mean) and isinstance(candidate, Mean) and stable.rows:
            means = Difference(stable, candidate)
            return judged(self.name, means, self.margin, budget, number, brief=material.brief)
        return silent(self.name, "no label of stable has come yet", limit)

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"measure": self.measure, "margin": self.margin, "at_most": self.at_most}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        margin = table.number("margin")
        return {
            "measure": table.text("measure", "error"),
            "margin": MARGIN if margin is None else margin,
            "at_most": table.number("at_most"),
        }
