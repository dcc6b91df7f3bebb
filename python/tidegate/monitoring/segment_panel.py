"""The part of the page that shows segments: how far each column of each has moved."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import Final

from tidegate.monitoring import svg
from tidegate.monitoring.report import Segments

__all__ = ["segment_panels"]

MOST_COLUMNS: Final = 40
"""Columns of the model in the heat map, the most drifted first."""


def segment_panels(segments: Segments | None, clocks: Collection[str] = ()) -> list[str]:
    """The panel of a report's segments; none where none are told apart, or none has a row.

    Args:
        segments: what the report says of them.
        clocks: columns that are left out, since they are times and only go on.

    Returns:
        Sections of HTML.
    """
    shown = [value for value in (segments.values if segments else ()) if value.rows]
    if segments is None or not shown:
        return []
    worst: dict[int, float] = {}
    for value in shown:
        for place, column in enumerate(value.columns):
            if column.name in clocks:
                continue
            beyond = (column.psi or 0.0) - (column.psi_noise or 0.0)
            worst[place] = max(worst.get(place, 0.0), beyond)
    places = sorted(worst, key=lambda place: -worst[place])[:MOST_COLUMNS]
    first = shown[0].columns
    rows = [
        (
            first[place].name + (" (prediction)" if first[place].role == "prediction" else ""),
            [value.columns[place].psi for value in shown],
        )
        for place in places
    ]
    columns = [(value.value, f"{value.rows:,} rows") for value in shown]
    against = (
        "Rows of each value are compared with those of the same value."
        if segments.like_with_like
        else "Rows of each value are compared with all rows of the baseline, so that this shows as "
        "well how the value differs from the others."
    )
    return [
        f'<section class="panel"><h2>By {escape(segments.column)}</h2>'
        '<p class="muted">Population stability index of each column in the last closed window, by '
        f"the value of {escape(segments.column)}. {against} Small segments move by chance.</p>"
        f"{svg.psi_legend()}"
        f'<div class="scroll">{svg.heat_map(rows, columns)}</div></section>'
    ]
