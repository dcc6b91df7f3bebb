"""How often a shadow answers otherwise than the live version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, get_args

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import number, share
from tidegate.types import Json

__all__ = ["Disagreement"]

Of = Literal["label", "score"]
"""Rows whose label differs, or by how much the probability does."""

AT_MOST: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Disagreement(Gate):
    """On the same requests, candidate and live version answer alike, up to a bound.

    Attributes:
        of: `label`: the share of rows whose label differs (of numbers: by more than
            `observe.tolerance`); `score`: the mean absolute difference of the probability.
        at_most: The greatest share, or mean.

    Raises:
        InputError: If the bound is not between 0 and 1.

    Example:
        >>> from tidegate.monitoring.sequential import Proportion
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Pairs, Sample
        >>> pairs = Pairs(pairs=1_000, disagree=Proportion().count(4, 1_000))
        >>> Disagreement().check(Material(Sample(), Sample(), "shadow", pairs), Budget()).outcome
        'pass'
    """

    of: Of = "label"
    at_most: float = AT_MOST

    kind: ClassVar[str] = "disagreement"
    divisible: ClassVar[bool] = False
    stages: ClassVar[frozenset[Stage]] = frozenset({"shadow"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of not in get_args(Of):
            raise InputError(f"gate {self.name!r}: of {self.of!r}: use {', '.join(get_args(Of))}")
        if not 0 < self.at_most < 1:
            raise InputError(
                f"gate {self.name!r}: at most {self.at_most:g}: give a share above 0 and below 1"
            )

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        pairs = material.pairs
        if pairs is None or not pairs.pairs:
            return silent(self.name, "no request was answered by both yet", self.at_most)
        if self.of == "label":
            return judged(
                self.name, pairs.disagree, self.at_most, budget, share, brief=material.brief
            )
        if pairs.difference is None:
            why = "the answers are no probabilities: compare labels, with observe.tolerance"
            return silent(self.name, why, self.at_most)
        return judged(
            self.name, pairs.difference, self.at_most, budget, number, brief=material.brief
        )

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"of": self.of, "at_most": self.at_most}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {
            "of": table.text("of", "label"),
            "at_most": table.bounded("at_most", AT_MOST, 0.0, 1.0),
        }
