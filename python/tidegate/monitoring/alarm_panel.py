"""The part of the page that shows alarms: how far each column is away, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from tidegate.monitoring import svg
from tidegate.monitoring.alarm import Alarm, Alarms

__all__ = ["alarm_panels"]

MOST_COLUMNS: Final = 40
"""Columns in the chart of intervals; those nearest to the reference are left out."""
MOST_CARDS: Final = 24
"""Alarms with a chart of their own."""


def alarm_panels(alarms: Alarms | None) -> list[str]:
    """The panels of a report's alarms; none without a closed window.

    Args:
        alarms: what the report says of them.

    Returns:
        Sections of HTML.
    """
    if alarms is None or alarms.looks == 0 or not alarms.columns:
        return []
    ranked = sorted(alarms.columns, key=lambda column: (-column.lower, -(column.distance or 0.0)))
    shown, raised = ranked[:MOST_COLUMNS], alarms.raised
    note = (
        f" The {len(ranked) - len(shown)} columns with the least distance are left out."
        if len(ranked) > len(shown)
        else ""
    )
    words = (
        "No column has left its reference by more than is harmless."
        if not raised
        else f"{len(raised)} of {len(alarms.columns)} columns left their reference."
    )
    chart = svg.intervals(
        [
            (
                column.name + (" (prediction)" if column.role == "prediction" else ""),
                column.distance,
                (column.lower, column.upper),
                column.alarm,
                _state(column),
            )
            for column in shown
        ],
        alarms.tolerance,
    )
    overview = (
        f'<section class="panel"><h2>Alarms</h2><p>{words}</p>'
        '<p class="muted">The share of rows that would have to move to another cell, with what the '
        f"evidence of {alarms.looks:,} windows does not exclude. Up to {alarms.tolerance:.0%} is "
        "taken to be harmless (dashed); an alarm is raised where the whole interval is beyond. Of "
        f"alarms a share of at most {alarms.alpha:g} is false, however often one looks.{note}</p>"
        f'<div class="scroll">{chart}</div></section>'
    )
    return [overview, _cards(raised[:MOST_CARDS])] if raised else [overview]


def _cards(raised: Sequence[Alarm]) -> str:
    cards = "".join(
        f'<div class="card"><div class="head"><h3>{escape(column.name)}</h3>'
        f'<span class="tag" style="background:#822;color:#fff">{column.distance or 0.0:.0%} away'
        f'</span></div><p class="facts">{escape("; ".join(_facts(column)))}</p>'
        f"{svg.bars(_shares(column))}</div>"
        for column in raised
    )
    return (
        '<section class="panel"><h2>What the alarms are about</h2>'
        f'<p class="muted">The rows behind the evidence of each.<span class="key">'
        f'<i style="background:{svg.BASELINE}"></i>reference'
        f'<i style="background:{svg.LIVE}"></i>live</span></p>'
        f'<div class="cards">{cards}</div></section>'
    )


def _facts(column: Alarm) -> list[str]:
    facts = [
        f"between {column.lower:.1%} and {column.upper:.1%}",
        f"e-value {_large(column.e_value)}",
        f"{column.rows:,} rows since {_time(column.start)}",
    ]
    if column.since is not None:
        facts.append(f"alarm since {_time(column.since)}")
    return facts


def _state(column: Alarm) -> str:
    if column.alarm:
        return f"e-value {_large(column.e_value)}"
    if column.rows_to_go is not None:
        return f"about {_large(column.rows_to_go)} rows more"
    return ""


def _large(number: float) -> str:
    return f"{number:,.0f}" if number < 1e6 else f"{number:.0e}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


def _shares(column: Alarm) -> list[tuple[str, float, float]]:
    totals = [sum(getattr(c, side) for c in column.cells) or 1 for side in ("baseline", "live")]
    shares = [
        (
            cell.label if cell.lower is None else f"{cell.lower:.3g}",
            cell.baseline / totals[0],
            cell.live / totals[1],
        )
        for cell in column.cells
        if cell.baseline or cell.live
    ]
    return sorted(shares, key=lambda share: -max(share[1:]))[:16] if len(shares) > 16 else shares
