"""The test of two distributions over the same cells."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.errors import InputError
from tidegate.monitoring.sequential import CellsDifference
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.material import Material
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import points

__all__ = ["apart", "check_distance"]


def apart(
    name: str,
    stable: Sequence[int],
    candidate: Sequence[int],
    margin: float,
    budget: Budget,
    material: Material,
) -> Verdict:
    """Whether two versions' counts over the same cells are apart by at most a margin.

    Args:
        name: Of the gate, or of the part of it.
        stable: Rows of stable in each cell.
        candidate: Rows of the candidate.
        margin: The greatest difference of the share of any cell, or of all cells up to one.
        budget: Of this test.
        material: What it is part of.
    """
    if len(stable) != len(candidate):
        raise InputError(
            f"gate {name!r}: stable is counted in {len(stable)} cells and the candidate in "
            f"{len(candidate)}: both are counted in those of stable's baseline"
        )
    if len(stable) < 2 or not (sum(stable) and sum(candidate)):
        return silent(name, "no rows yet", margin)
    if material.stage == "shadow":
        budget = budget.paired()
    figure = CellsDifference(stable, candidate)
    counts = (tuple(stable), tuple(candidate))
    return judged(name, figure, margin, budget, points, cells=counts, brief=material.brief)


def check_distance(name: str, margin: float) -> None:
    """Raises if a distance of distributions cannot be tested.

    Raises:
        InputError: If it is not between 0 and 1.
    """
    if not 0 < margin < 1:
        raise InputError(
            f"gate {name!r}: a margin of {margin:g} of all rows: give a share above 0 and below 1"
        )
