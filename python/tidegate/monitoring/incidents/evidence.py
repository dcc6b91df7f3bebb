"""What is known when an incident opens: gathered once, by itself, and kept with it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from tidegate.errors import TidegateError
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.state import Incident, State
from tidegate.monitoring.incidents.causes import ranked
from tidegate.monitoring.incidents.failed import FailedRow
from tidegate.monitoring.incidents.moves import LOOK_BACK_SECONDS, moves, stage_means
from tidegate.monitoring.incidents.redaction import redacted_row, redacted_text
from tidegate.monitoring.report import DriftReport, DriftWindow

__all__ = ["Changes", "Failing", "Served", "Sharing", "Watched", "gathered"]

LOG: Final = logging.getLogger("tidegate.alerts")

MOST_COLUMNS: Final = 6
"""Columns whose histograms are kept, the most drifted first."""

MOST_CAUSES: Final = 20
MOST_EXAMPLES: Final = 10
MOST_MODELS: Final = 20

NOW_SECONDS: Final = 300.0
"""The time before an incident whose stages are compared with those before it."""


class Served(Protocol):
    """A served name and what stands behind it."""

    @property
    def name(self) -> str:
        """The name that requests use."""

    @property
    def version(self) -> str:
        """The bundle's version."""

    @property
    def digest(self) -> str | None:
        """The bundle's digest."""

    @property
    def revision(self) -> int:
        """Which change of the deployment this is."""


class Sharing(Protocol):
    """A version that gets traffic under a served name."""

    @property
    def version(self) -> str:
        """The bundle's version."""

    @property
    def digest(self) -> str | None:
        """The bundle's digest."""

    @property
    def weight(self) -> int:
        """Its share in basis points."""


class Watched(Protocol):
    """What alerts and incidents need of a runtime."""

    def metrics(self) -> str:
        """The metrics in Prometheus' text format."""

    def deployments(self) -> Sequence[Served]:
        """What is served."""

    def arms(self, name: str | None = None) -> Sequence[Sharing]:
        """The versions that get traffic, under one name or all."""

    def drift(self, name: str) -> DriftReport:
        """How far live rows are from the baseline."""

    def failed_rows(self, name: str) -> Sequence[FailedRow]:
        """Rows that failed in the model or broke a rule lately, the newest first."""


class Changes(Protocol):
    """What knows how traffic has changed."""

    def __call__(self, since: float) -> Iterable[Mapping[str, Any]]:
        """The changes since then: each `at`, `what`, `name`, `before`, `after`."""


class Failing(Protocol):
    """What gives further examples of what went wrong: requests, or rows of another source."""

    def __call__(self, model: str | None, since: float) -> Iterable[Mapping[str, Any]]:
        """The newest ones of a model: each `at`, `why`, and perhaps `request` (its id) and `row`."""


def gathered(
    incident: Incident,
    state: State,
    history: History,
    watched: Watched,
    now: float,
    *,
    failing: Failing | None = None,
    revised: Changes | None = None,
) -> dict[str, Any]:
    """The evidence of an incident, as one record of its log.

    What cannot be had is left out, and `absent` says why.

    Args:
        incident: That has just opened.
        state: What all replicas agree on.
        history: Of this replica.
        watched: The runtime.
        now: Seconds since 1970.
        failing: Where further failing examples are, if anywhere.
        revised: What knows how traffic has changed, better than looks at what is served.
    """
    model = dict(part.partition("=")[::2] for part in incident.group.split(",")).get("model")
    absent: dict[str, str] = {}
    served = list(watched.deployments())
    reports: dict[str, DriftReport] = {}
    for deployment in served[:MOST_MODELS]:
        if model in (None, deployment.name):
            try:
                reports[deployment.name] = watched.drift(deployment.name)
            except TidegateError as error:
                absent[f"drift of {deployment.name}"] = str(error)
    since = incident.opened - LOOK_BACK_SECONDS
    changes = _changes(state, revised, since, absent)
    causes = ranked(moves(history, changes, reports, incident.opened, model), incident.opened)
    # Equal texts have equal digests in all rows of an incident.
    salt = secrets.token_hex(8)
    names = [deployment.name for deployment in served if model in (None, deployment.name)]
    examples = _redacted(_rows(watched, names[:MOST_MODELS], since, absent), salt)
    if failing is not None:
        try:
            examples += _redacted(failing(model, since), salt)
        except TidegateError as error:
            absent["examples"] = str(error)
    return {
        "type": "evidence",
        "at": now,
        "served": [
            {
                "name": d.name,
                "version": d.version,
                "digest": d.digest,
                "revision": d.revision,
                "arms": [
                    {"version": arm.version, "digest": arm.digest, "weight": arm.weight}
                    for arm in watched.arms(d.name)
                ],
            }
            for d in served
        ],
        "changes": changes,
        "causes": [cause.to_json() for cause in causes[:MOST_CAUSES]],
        "columns": _columns(reports),
        "stages": _stages(history, now, model),
        "examples": examples,
        "absent": absent,
    }


def _changes(
    state: State, revised: Changes | None, since: float, absent: dict[str, str]
) -> list[Mapping[str, Any]]:
    """What has changed since then, oldest first."""
    known: list[Mapping[str, Any]] = []
    try:
        known += revised(since) if revised is not None else ()
    except TidegateError as error:
        absent["revisions"] = str(error)
    names = {change["name"] for change in known}
    seen = [
        change
        for change in state.changes
        if change["at"] >= since
        and not (change["what"] == "deployment" and change["name"] in names)
    ]
    return sorted([*seen, *known], key=lambda change: float(change["at"]))


def _columns(reports: Mapping[str, DriftReport]) -> list[dict[str, Any]]:
    """The most drifted columns of each model's newest window that says something."""
    found: list[dict[str, Any]] = []
    for model, report in reports.items():
        window = _newest(report)
        if window is None:
            continue
        columns = sorted(window.columns, key=lambda column: -(column.psi or 0.0))
        for column in columns[:MOST_COLUMNS]:
            if (column.psi or 0.0) <= (column.psi_noise or 0.0):
                continue
            found.append(
                {
                    "model": model,
                    "window": window.name,
                    "rows": window.rows,
                    "column": column.name,
                    "role": column.role,
                    "psi": column.psi,
                    "psi_noise": column.psi_noise,
                    "js": column.js,
                    "missing": asdict(column.missing),
                    "cells": [
                        {"label": cell.label, "baseline": cell.baseline, "live": cell.live}
                        for cell in column.cells
                        if cell.baseline or cell.live
                    ],
                }
            )
    return sorted(found, key=lambda column: -float(column["psi"] or 0.0))[: 2 * MOST_COLUMNS]


def _newest(report: DriftReport) -> DriftWindow | None:
    windows = [window for window in report.windows if window.rows]
    closed = [window for window in windows if window.closed]
    return closed[-1] if closed else windows[-1] if windows else None


def _stages(history: History, now: float, model: str | None) -> list[dict[str, Any]]:
    live = stage_means(history, now, NOW_SECONDS)
    past = stage_means(history, now, LOOK_BACK_SECONDS, until=NOW_SECONDS)
    found = [
        {**dict(labels), "now": mean, "before": past.get(labels)}
        for labels, mean in live.items()
        if model in (None, dict(labels).get("model"))
    ]
    return sorted(found, key=lambda stage: -_slower(stage))


def _slower(stage: Mapping[str, Any]) -> float:
    before = stage["before"]
    return float(stage["now"] / before) if before else 1.0


def _rows(
    watched: Watched, names: Iterable[str], since: float, absent: dict[str, str]
) -> list[dict[str, Any]]:
    """Rows of models that failed or broke a rule since then, the newest first."""
    found = []
    for name in names:
        try:
            rows = watched.failed_rows(name)
        except TidegateError as error:
            absent[f"failed rows of {name}"] = str(error)
            continue
        found += [
            {"at": row.at, "why": f"{name} {row.version}: {row.reason}", "row": row.row}
            for row in rows
            if row.at >= since
        ]
    return sorted(found, key=lambda row: -row["at"])


def _redacted(examples: Iterable[Mapping[str, Any]], salt: str) -> list[dict[str, Any]]:
    """The first few, without their values."""
    found = []
    for example in examples:
        plain: dict[str, Any] = {
            "at": float(example["at"]),
            "why": redacted_text(str(example["why"])),
        }
        if "request" in example:
            plain["request"] = str(example["request"])
        if "row" in example:
            plain["row"] = redacted_row(example["row"], salt)
        found.append(plain)
        if len(found) >= MOST_EXAMPLES:
            break
    return found
