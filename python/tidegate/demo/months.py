"""Month by month: what the server saw, beside what came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.demo.task import CLOCK, area_under_curve
from tidegate.demo.traffic import Month
from tidegate.errors import InternalError

__all__ = ["MonthReport", "most_drifted", "summarise"]

LATE_COLUMN: Final = "probabilities[1]"
"""The watched prediction: the probability of being late."""

SHOWN_COLUMNS: Final = 3


@dataclass(frozen=True)
class MonthReport:
    """One line of the table."""

    label: str
    rows: int
    """Rows of the window, read back from the server."""
    late_rate: float
    """What came true; the server does not know it."""
    predicted: float
    """Mean predicted probability of being late, read back from the server."""
    auc: float
    """Of the answers that came over the wire."""
    prediction_psi: float
    """How far the predictions moved, read back from the server."""
    drifted: tuple[tuple[str, float], ...]
    """The features that moved most with their PSI, read back from the server."""


def most_drifted(columns: Sequence[dict[str, Any]]) -> tuple[tuple[str, float], ...]:
    """The features that moved most, the two schedule times left out: time only goes on.

    Args:
        columns: The columns of one window of a drift report.

    Returns:
        Names and PSI, the largest first.
    """
    moved = [
        (column["name"], column["psi"])
        for column in columns
        if column["role"] == "feature" and column["name"] not in CLOCK and column["psi"] is not None
    ]
    return tuple(sorted(moved, key=lambda each: (-each[1], each[0]))[:SHOWN_COLUMNS])


def summarise(report: dict[str, Any], months: Sequence[Month]) -> list[MonthReport]:
    """Joins the server's windows with what came true, by the label of the window.

    Args:
        report: The drift report of the server.
        months: The traffic.

    Returns:
        One line a month, in the order of the traffic.

    Raises:
        InternalError: The server has no window of that month, or has watched other rows.
    """
    windows = {window["label"]: window for window in report["windows"] if window["label"]}
    lines = []
    for month in months:
        window = windows.get(month.label)
        if window is None or window["rows"] != month.late.size:
            found = "no window" if window is None else f"{window['rows']:,} rows"
            raise InternalError(
                f"the server reports {found} of {month.label}, and {month.late.size:,} were sent: "
                "look for dropped observations on its /metrics"
            )
        predictions = {c["name"]: c for c in window["columns"] if c["role"] == "prediction"}
        late = predictions[LATE_COLUMN]
        lines.append(
            MonthReport(
                label=month.label,
                rows=window["rows"],
                late_rate=float(month.late.mean()),
                predicted=late["moments"]["live"]["mean"],
                auc=area_under_curve(month.scores, month.late),
                prediction_psi=late["psi"],
                drifted=most_drifted(window["columns"]),
            )
        )
    return lines
