"""The distribution of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tidegate.configuration.table import Table
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.distribution import apart, check_distance
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, silent
from tidegate.types import Json

__all__ = ["Prediction"]

MARGIN: Final = 0.1
"""By default a tenth of the rows may be predicted otherwise."""


@dataclass(frozen=True, kw_only=True)
class Prediction(Gate):
    """Predictions are distributed as stable's, within a margin.

    Both are counted in the cells of stable's baseline. What is compared is the share of each cell, and
    of everything up to each cell (the Kolmogorov-Smirnov distance): none may differ by more than the
    margin.

    Attributes:
        margin: The greatest difference of a share.

    Raises:
        InputError: If the margin is not between 0 and 1.

    Example:
        >>> from tidegate.routing import samples
        >>> from tidegate.routing.gates import Budget, Material
        >>> old = samples.Sample(prediction=samples.Prediction([500, 300, 200]))
        >>> new = samples.Sample(prediction=samples.Prediction([200, 300, 500]))
        >>> Prediction().check(Material(old, new), Budget()).outcome
        'fail'
    """

    margin: float = MARGIN

    kind: ClassVar[str] = "prediction"
    stages: ClassVar[frozenset[Stage]] = frozenset({"split", "shadow"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_distance(self.name, self.margin)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        stable, candidate = material.stable.prediction, material.candidate.prediction
        if stable is None or candidate is None:
            return silent(self.name, "no prediction was counted yet", self.margin)
        return apart(self.name, stable.cells, candidate.cells, self.margin, budget, material)

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"margin": self.margin}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {"margin": table.bounded("margin", MARGIN, 0.0, 1.0)}
