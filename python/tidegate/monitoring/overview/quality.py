"""Quality with its intervals, and calibration, from the report of quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from tidegate.monitoring.charts import Point, intervals, reliability

__all__ = ["panels"]

MOST_WINDOWS: Final = 48
MOST_MEASURES: Final = 12


def panels(report: Mapping[str, Any]) -> list[str]:
    """The panels of each version that has predicted, the newest first.

    Args:
        report: As `GET /v1/models/{name}/quality` gives it.
    """
    return [_version(found) for found in reversed(report["versions"]) if _worth(found)]


def _worth(found: Mapping[str, Any]) -> bool:
    return bool(found["total"]["predictions"])


def _version(found: Mapping[str, Any]) -> str:
    total = found["total"]
    measures = list(total["measures"].items())[:MOST_MEASURES]
    rows = "".join(_row(name, measure, total) for name, measure in measures)
    rows += "".join(
        f"<tr><td>{escape(name)}</td><td>–</td><td>–</td><td>{_number(value)}</td></tr>"
        for name, value in total["estimates"].items()
        if name not in total["measures"] and value is not None
    )
    charts = "".join(_chart(name, found["windows"]) for name, _ in measures)
    return (
        f'<section class="panel"><h2>Quality of {escape(str(found["version"]))}</h2>'
        f'<p class="muted">{total["labelled"]:,} of {total["predictions"]:,} predictions have met '
        "their labels. Intervals hold at any time, with a chance of 5 % to be wrong. Estimates come "
        "from probabilities alone, without labels.</p>"
        '<table class="figures"><thead><tr><th>measure</th><th>by labels</th><th>interval</th>'
        f"<th>estimated</th></tr></thead><tbody>{rows}</tbody></table>"
        '<p class="muted">By the time of prediction, with intervals; dashed: what was estimated '
        "without labels.</p>"
        f'<div class="cards">{charts}</div>{_calibration(found["calibration"])}</section>'
    )


def _row(name: str, measure: Mapping[str, Any], total: Mapping[str, Any]) -> str:
    span = _span(measure)
    shown = "–" if span is None else f"{_number(span[0])} to {_number(span[1])}"
    estimate = total["estimates"].get(name)
    return (
        f"<tr><td>{escape(name)}</td><td>{_number(measure['value'])}</td><td>{shown}</td>"
        f"<td>{_number(estimate)}</td></tr>"
    )


def _chart(name: str, windows: Sequence[Mapping[str, Any]]) -> str:
    points: list[Point] = []
    expected: list[float | None] = []
    for window in windows[-MOST_WINDOWS:]:
        measure = window["measures"].get(name, {"value": None})
        points.append((_time(window["start"]), measure["value"], _span(measure)))
        expected.append(window["estimates"].get(name))
    if not any(value is not None for value in (*(value for _, value, _ in points), *expected)):
        return ""
    label = f"{name} by the time of prediction"
    return (
        f'<div class="card"><div class="head"><h3>{escape(name)}</h3></div>'
        f"{intervals(points, label=label, beside=expected, width=290)}</div>"
    )


def _calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    known = [
        (found["probability"], found["rate"], found["rows"])
        for found in bins
        if found["rows"] and found["probability"] is not None and found["rate"] is not None
    ]
    if not known:
        return ""
    return (
        '<h3 class="below">Calibration</h3><p class="muted">How often what was predicted with a '
        "probability came true; on the dashed line they agree. Larger dots stand for more rows.</p>"
        f"{reliability(known)}"
    )


def _span(measure: Mapping[str, Any]) -> tuple[float, float] | None:
    found = measure.get("interval")
    if not found or found.get("lower") is None or found.get("upper") is None:
        return None
    return float(found["lower"]), float(found["upper"])


def _time(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
        return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
