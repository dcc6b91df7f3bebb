"""What a run has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tidegate.bench.http import Cell
from tidegate.bench.measure import Figure

__all__ = ["Results", "summary"]


@dataclass(slots=True)
class Results:
    """What a run has found.

    Attributes:
        machine: Where it ran.
        suites: Which suites ran.
        figures: Figures by name, those of the budgets among them.
        http: Medians of the cells by target and number of connections.
        features: Figures of one row and of the table.
        embedded: Figures of the embedded call and the bare one.
        curves: What is drawn over something else than connections: goodput over offered load.
        peers: What is in each peer's lock, and which of its settings was its best with what.
        memory_mb: Peak memory of the servers.
        not_measured: What could not be measured, with the reason.
        notes: What a reader of the figures must know.
        seconds: How long the run took.
    """

    machine: dict[str, object] = field(default_factory=dict)
    suites: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    http: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    embedded: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """The medians of some runs of one server.

    Args:
        cells: At least one.
    """
    batches = [cell.batch for cell in cells if cell.batch is not None]
    return {
        "rate": median(cell.rate for cell in cells),
        "p50_us": median(cell.p50_us for cell in cells),
        "p99_us": median(cell.p99_us for cell in cells),
        "cpu_us": median(cell.cpu_us for cell in cells),
        "batch": median(batches) if batches else None,
        "errors": sum(cell.errors for cell in cells),
        "first_error": next((cell.first_error for cell in cells if cell.first_error), None),
        "runs": len(cells),
    }
