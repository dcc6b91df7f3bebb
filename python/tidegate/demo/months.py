"""Month by month: what the server saw, beside what came true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tidegate.demo.task import CLOCK, area_under_curve
from tidegate.demo.traffic import Month
from tidegate.errors import InternalError

__all__ = ["MonthReport", "Seen", "most_drifted", "seen", "summarise"]

LATE_COLUMN: Final = "probabilities[1]"
"""The watched prediction: the probability of being late."""

SHOWN_COLUMNS: Final = 3

MEASURES: Final = ("accuracy", "brier")
"""Means over rows, so that those of a month follow from two readings of the total."""


@dataclass(frozen=True)
class Seen:
    """What the server reported right after a month, and after its labels came."""

    alarms: tuple[tuple[str, float], ...]
    """The columns with an alarm and the share of rows that moved, the surest first."""
    estimated: dict[str, float]
    """The quality of the month before its labels came."""
    estimated_with_labels: int
    """Labels, all of earlier months, that had corrected the probabilities behind the estimate."""
    labelled: dict[str, float]
    """The quality of the month by its labels."""


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
    seen: Seen
    """Alarms and quality, read back from the server."""


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


def seen(
    drift: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
    labels: tuple[dict[str, Any], dict[str, Any]],
) -> Seen:
    """What the server reported of one month, from readings of its reports.

    Args:
        drift: The drift report when the month had ended.
        before: The quality when it began.
        after: The quality when it had ended.
        labels: The quality before its labels were sent, and after.
    """
    columns = drift["alarms"]["columns"] if drift.get("alarms") else []
    raised = sorted(
        (column for column in columns if column["alarm"]),
        key=lambda column: (-column["interval"]["lower"], column["name"]),
    )

    def estimate(reading: dict[str, Any], name: str) -> float | None:
        found: float | None = reading["total"]["estimates"].get(name)
        return found

    def measure(reading: dict[str, Any], name: str) -> float | None:
        found: float | None = reading["total"]["measures"].get(name, {}).get("value")
        return found

    return Seen(
        alarms=tuple((column["name"], column["distance"]) for column in raised),
        estimated={
            name: _between(before, after, "predictions", partial(estimate, name=name))
            for name in MEASURES
        },
        # Read when the month began: later labels have not corrected its estimates.
        estimated_with_labels=before["total"]["estimated_with_labels"],
        labelled={
            name: _between(*labels, "labelled", partial(measure, name=name)) for name in MEASURES
        },
    )


def _between(
    before: dict[str, Any],
    after: dict[str, Any],
    count: str,
    figure: Callable[[dict[str, Any]], float | None],
) -> float:
    """A mean over the rows that came between two readings."""
    rows = [reading["total"][count] for reading in (before, after)]
    sums = [n * (figure(reading) or 0.0) for n, reading in zip(rows, (before, after), strict=True)]
    return float((sums[1] - sums[0]) / max(rows[1] - rows[0], 1))


def summarise(
    report: dict[str, Any], months: Sequence[Month], saw: Sequence[Seen]
) -> list[MonthReport]:
    """Joins the server's windows with what came true, by the label of the window.

    Args:
        report: The drift report of the server.
        months: The traffic.
        saw: What the server reported of each month.

    Returns:
        One line a month, in the order of the traffic.

    Raises:
        InternalError: The server has no window of that month, or has watched other rows.
    """
    windows = {window["label"]: window for window in report["windows"] if window["label"]}
    lines = []
    for month, found in zip(months, saw, strict=True):
        window = windows.get(month.label)
        if window is None or window["rows"] != month.late.size:
            what = "no window" if window is None else f"{window['rows']:,} rows"
            raise InternalError(
                f"the server reports {what} of {month.label}, and {month.late.size:,} were sent: "
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
                seen=found,
            )
        )
    return lines
