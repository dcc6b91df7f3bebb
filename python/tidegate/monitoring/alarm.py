"""Alarms of a drift report, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.monitoring.cell import Cell

__all__ = ["Alarm", "Alarms"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the evidence says of one column: an alarm, or none.

    Attributes:
        name: The column.
        role: Whether it is a feature or a prediction.
        alarm: Whether the distance is beyond the tolerance, as sure as was asked for.
        since: When the alarm was raised that stands.
        e_value: The evidence that the distance is beyond the tolerance; without any, it is ever above
            `x` with a chance of at most `1 / x`.
        log_e: Its natural logarithm.
        due: The logarithm that it has to reach for an alarm.
        distance: The total variation distance of the rows behind the evidence: the share that would
            have to move to another cell; `None` before the first window.
        lower: The least distance that the evidence does not exclude.
        upper: The greatest.
        start: When the rows behind the evidence began.
        rows: How many they are.
        rows_to_go: How many more are likely to be needed for an alarm; 0 with one, `None` if there
            will be none.
        cells: With an alarm, the cells with their rows in the reference and behind the evidence.
    """

    name: str
    role: Literal["feature", "prediction"]
    alarm: bool
    since: float | None
    e_value: float
    log_e: float
    due: float
    distance: float | None
    lower: float
    upper: float
    start: float | None
    rows: int
    rows_to_go: int | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms as of the last closed window.

    Attributes:
        alpha: The share of alarms that may be false, and the chance that there is ever one while
            nothing leaves the tolerance.
        tolerance: The distance that is taken to be harmless.
        looks: Closed windows that were looked at.
        columns: Every column that can raise an alarm.
    """

    alpha: float
    tolerance: float
    looks: int
    columns: tuple[Alarm, ...]

    @property
    def raised(self) -> tuple[Alarm, ...]:
        """The columns with an alarm, the farthest away first."""
        raised = (column for column in self.columns if column.alarm)
        return tuple(sorted(raised, key=lambda column: -column.lower))


def read(document: Mapping[str, Any]) -> Alarms:
    """The alarms of a report's document."""
    return Alarms(
        alpha=float(document["alpha"]),
        tolerance=float(document["tolerance"]),
        looks=int(document["looks"]),
        columns=tuple(
            Alarm(
                name=column["name"],
                role=column["role"],
                alarm=bool(column["alarm"]),
                since=column["since"],
                e_value=float(column["e_value"]),
                log_e=float(column["log_e"]),
                due=float(column["due"]),
                distance=column["distance"],
                lower=float(column["interval"]["lower"]),
                upper=float(column["interval"]["upper"]),
                start=column["from"],
                rows=int(column["rows"]),
                rows_to_go=column["rows_to_go"],
                cells=tuple(Cell(**cell) for cell in column["cells"]),
            )
            for column in document["columns"]
        ),
    )
