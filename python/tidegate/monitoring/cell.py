"""Cells of a column: what histograms are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Cell", "CellKind"]

CellKind = Literal["below", "bin", "above", "value", "other", "unseen", "missing"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows of one cell on both sides; the cells of a column hold every row once."""

    kind: CellKind
    label: str
    baseline: int
    live: int
    lower: float | None = None
    upper: float | None = None
