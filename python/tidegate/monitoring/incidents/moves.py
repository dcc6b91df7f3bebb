"""What moved before an incident: changes, columns, stages, traffic, errors, the queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tidegate.monitoring.alerts.history import History, grown_since
from tidegate.monitoring.alerts.signals import FAULTS, STAGE, TOTAL
from tidegate.monitoring.exposition import Labels
from tidegate.monitoring.incidents.causes import Cause, Kind, first_move
from tidegate.monitoring.report import MODERATE, DriftReport

__all__ = ["LOOK_BACK_SECONDS", "column_moves", "moves", "stage_means"]

LOOK_BACK_SECONDS: Final = 7_200.0
"""How far before an incident causes are looked for."""

NOISE: Final = 5.0
"""How many times the PSI of chance a column's must be."""

Points = list[tuple[float, float]]


def moves(
    history: History,
    changes: Iterable[Mapping[str, Any]],
    reports: Mapping[str, DriftReport],
    opened: float,
    model: str | None,
) -> Iterator[Cause]:
    """Everything that moved, in no order.

    Args:
        history: Up to now.
        changes: Of deployments and settings.
        reports: Of drift, by model.
        opened: When the incident began.
        model: Whose incident it is; `None` for all.
    """
    since = opened - LOOK_BACK_SECONDS
    for change in changes:
        if change["at"] < since or (
            change["what"] == "deployment" and model not in (None, change["name"])
        ):
            continue
        before, after = change["before"] or "nothing", change["after"] or "nothing"
        what = f"{change['what']} {change['name']}"
        yield Cause(change["at"], "change", what, f"{before} → {after}")
    for name, report in reports.items():
        if model in (None, name):
            yield from column_moves(report, since, opened, "" if model else f"{name}: ")
    yield from _rates(history, opened, model)
    yield from _stages(history, opened, model)
    for labels in history.series("tidegate_queue_rows"):
        if model in (None, dict(labels).get("model")):
            points = history.points("tidegate_queue_rows", labels)
            yield from _moved(points, opened, "queue", "rows that wait", "{:.0f}")


def column_moves(report: DriftReport, since: float, opened: float, place: str) -> Iterator[Cause]:
    """Columns that drifted, each from when it did so first.

    That is the first window of those whose PSI is beyond chance and convention, or where there is
    none the begin of the rows behind the column's alarm.
    """
    moved: set[tuple[str, str]] = set()
    windows = [window for window in report.windows if window.rows and window.end >= since]
    for name, role in report.columns():
        begin: float | None = None
        value = 0.0
        for window in windows:
            if window.start > opened:
                break
            column = window.column(name, role)
            psi = column.psi or 0.0
            if psi >= max(MODERATE, NOISE * (column.psi_noise or 0.0)):
                begin, value = window.start if begin is None else begin, max(value, psi)
            else:
                begin, value = None, 0.0
        if begin is not None:
            kind: Kind = "prediction" if role == "prediction" else "feature"
            moved.add((name, role))
            yield Cause(begin, kind, f"{place}{name}", f"PSI up to {value:.2f} from this window on")
    for alarm in report.alarms.raised if report.alarms else ():
        at = alarm.since if alarm.start is None else alarm.start
        if (alarm.name, alarm.role) not in moved and at is not None and since <= at <= opened:
            detail = f"at least {alarm.lower:.1%} of its rows have moved"
            yield Cause(at, alarm.role, f"{place}{alarm.name}", detail)


def stage_means(
    history: History, now: float, seconds: float, *, until: float = 0.0
) -> dict[Labels, float]:
    """Mean seconds of each stage, by model, version and stage.

    Args:
        history: Up to now.
        now: Seconds since 1970.
        seconds: How far to look back.
        until: Seconds before now at which to stop.
    """
    found = {}
    for labels in history.series(f"{STAGE}_count"):
        amounts = []
        for name in ("_sum", "_count"):
            points = [p for p in history.points(STAGE + name, labels) if p[0] <= now - until]
            grown = grown_since(points, now - seconds)
            amounts.append(grown[0] if grown else 0.0)
        if amounts[1] > 0:
            found[labels] = amounts[0] / amounts[1]
    return found


def _rates(history: History, opened: float, model: str | None) -> Iterator[Cause]:
    by_model: dict[str, tuple[list[Points], list[Points]]] = {}
    for labels in history.series(TOTAL):
        own = dict(labels)
        if model in (None, own.get("model")):
            every, bad = by_model.setdefault(own.get("model", ""), ([], []))
            points = history.points(TOTAL, labels)
            every.append(points)
            if own.get("outcome") in FAULTS:
                bad.append(points)
    for name, (every, bad) in sorted(by_model.items()):
        place = f"requests a second of {name}"
        yield from _moved(_slopes(every), opened, "traffic", place, "{:.3g}")
        if bad:
            place = f"failed requests a second of {name}"
            yield from _moved(_slopes(bad), opened, "errors", place, "{:.3g}")


def _stages(history: History, opened: float, model: str | None) -> Iterator[Cause]:
    for labels in history.series(f"{STAGE}_count"):
        own = dict(labels)
        if own.get("stage") == "total" or model not in (None, own.get("model")):
            continue
        counts = history.points(f"{STAGE}_count", labels)
        sums = dict(history.points(f"{STAGE}_sum", labels))
        means = []
        for (start, before), (end, after) in pairwise(counts):
            if after > before and start in sums and end in sums and sums[end] >= sums[start]:
                means.append((end, 1e3 * (sums[end] - sums[start]) / (after - before)))
        what = f"stage {own.get('stage')} of {own.get('model')} {own.get('version')}"
        yield from _moved(means, opened, "stage", what, "{:.3g} ms")


def _slopes(series: Sequence[Points]) -> Points:
    """The rate of the sum of counters between their common times."""
    sums: dict[float, float] = {}
    for points in series:
        for (start, before), (end, after) in pairwise(points):
            grown = after - before if after >= before else after
            sums[end] = sums.get(end, 0.0) + grown / max(end - start, 1e-9)
    return sorted(sums.items())


def _moved(points: Points, opened: float, kind: Kind, what: str, form: str) -> Iterator[Cause]:
    points = [point for point in points if point[0] >= opened - LOOK_BACK_SECONDS]
    found = first_move(points, opened)
    if found is not None:
        at, before, after = found
        yield Cause(at, kind, what, f"{form.format(before)} → {form.format(after)}")
