"""Incidents with their timelines and suggested causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from tidegate.monitoring.incidents.review import when

__all__ = ["panel"]

MOST_TOLD: Final = 5
"""Incidents whose timelines are shown, the newest first."""

MOST_LINES: Final = 40


def panel(incidents: Sequence[Mapping[str, Any]]) -> str:
    """The panel.

    Args:
        incidents: As `GET /v1/incidents/{incident}` gives them, the newest first; those without
            `timeline` are listed only.
    """
    if not incidents:
        return (
            '<section class="panel"><h2>Incidents</h2><p class="muted">None is on record.</p>'
            "</section>"
        )
    rows = "".join(
        f"<tr><td>{escape(found['id'])}</td><td>{escape(found['status'])}</td>"
        f"<td>{escape(found['severity'])}</td><td>{when(found['opened'])}</td>"
        f"<td>{_length(found)}</td><td>{escape(found['title'])}</td></tr>"
        for found in incidents
    )
    told = [found for found in incidents if found.get("timeline")][:MOST_TOLD]
    return (
        '<section class="panel"><h2>Incidents</h2><div class="scroll"><table class="figures left">'
        "<thead><tr><th>incident</th><th>status</th><th>severity</th><th>opened (UTC)</th>"
        f"<th>lasted</th><th>title</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"{''.join(_told(found) for found in told)}</section>"
    )


def _length(found: Mapping[str, Any]) -> str:
    if found.get("resolved") is None:
        return "goes on"
    minutes = max(found["resolved"] - found["opened"], 0.0) / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _told(found: Mapping[str, Any]) -> str:
    lines = found["timeline"]
    shown = "".join(
        f"<tr><td>{when(line['at'])}</td><td>{escape(line['text'])}</td></tr>"
        for line in lines[:MOST_LINES]
    )
    more = len(lines) - MOST_LINES
    note = f'<p class="muted">and {more} more lines.</p>' if more > 0 else ""
    causes: Sequence[Mapping[str, Any]] = next(
        (r["causes"] for r in found.get("records", ()) if r.get("type") == "evidence"), []
    )
    first = "".join(
        f"<li>{when(cause['at'])}: {escape(cause['what'])}, {escape(cause['detail'])}</li>"
        for cause in causes[:5]
    )
    moved = f"<p>Moved first:</p><ol>{first}</ol>" if first else ""
    return (
        f"<details><summary>{escape(found['id'])}: {escape(found['title'])}</summary>"
        f'{moved}<div class="scroll"><table class="figures left"><tbody>{shown}</tbody></table></div>'
        f"{note}</details>"
    )
