"""A rollout's status for a terminal: who gets what, what the gates say, what is still needed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["closed", "rendered", "revision_rows", "said"]

BAR: Final = 24
"""Characters of a full bar of traffic."""

PHASES: Final = {"progressing": "cyan", "paused": "yellow", "promoted": "green", "aborted": "red"}
OUTCOMES: Final = {"pass": "green", "fail": "bold red", "not_enough": "yellow"}
WORDS: Final = {"pass": "pass", "fail": "fail", "not_enough": "not enough"}


def closed(status: dict[str, Any]) -> bool:
    """Whether nothing goes on any more: no rollout, or one that has ended."""
    rollout = status["rollout"]
    return rollout is None or rollout["phase"] in ("promoted", "aborted")


def rendered(status: dict[str, Any]) -> RenderableType:
    """The whole status.

    Args:
        status: As `tidegate.routing.orders.Orders.status` gives it.
    """
    parts: list[RenderableType] = [_head(status), Text(), _arms(status)]
    rollout = status["rollout"]
    if rollout is not None and rollout.get("gates"):
        parts += [Text(), _gates(rollout["gates"])]
    warnings = [] if rollout is None else rollout.get("warnings", [])
    parts += [Text(f"warning: {warning}", "yellow") for warning in warnings]
    parts += [
        Text(f"replica {replica} refuses revision {status['revision']}: {why}", "red")
        for replica, why in status.get("refusals", {}).items()
    ]
    return Group(*parts)


def _head(status: dict[str, Any]) -> Text:
    head = Text()
    head.append(status["deployment"], "bold")
    head.append(f"  revision {status['revision']} ({status['event']} by {status['actor']}")
    head.append(f", {moment(status['time'])} UTC)")
    if status["reason"]:
        head.append(f"\n{status['reason']}", "dim")
    rollout = status["rollout"]
    if rollout is None:
        head.append("\nno rollout")
        return head
    head.append(f"\nrollout {rollout['id']}, {rollout['strategy']}: ")
    head.append(rollout["phase"], PHASES.get(rollout["phase"], ""))
    head.append(f", step {rollout['step']} of {rollout['steps']}")
    if "elapsed" in rollout:
        head.append(
            f", {_seconds(rollout['elapsed'])} of at least {_seconds(rollout['min_seconds'])}"
        )
        if rollout["max_seconds"] is not None:
            head.append(f" and at most {_seconds(rollout['max_seconds'])}")
        head.append(f", {rollout['requests']:,} of {rollout['min_requests']:,} requests")
    return head


def _arms(status: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("version", "role", "traffic", "", "requests", "errors", "refused"):
        table.add_column(
            column, justify="left" if column in ("version", "role", "traffic") else "right"
        )
    rows = [(arm, arm["role"]) for arm in status["arms"]]
    if status["shadow"] is not None:
        rows.append((status["shadow"], "shadow"))
    for arm, role in rows:
        # Whoever gets something shows, and whoever does not get all of it, too.
        share = arm["percent"] / 100
        filled = round(share * BAR) if share in (0, 1) else min(max(round(share * BAR), 1), BAR - 1)
        bar = Text("█" * filled, "green" if role == "stable" else "cyan")
        bar.append("░" * (BAR - filled), "dim")
        table.add_row(
            arm["version"],
            role,
            bar,
            f"{arm['percent']:g} %",
            *(f"{arm[name]:,}" for name in ("requests", "errors", "refused")),
        )
    return table


def _gates(gates: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len({gate["version"] for gate in gates}) > 1
    for column in ("gate", "outcome", "found", "needs"):
        table.add_column(column, overflow="fold")
    for gate in gates:
        name = f"{gate['gate']} ({gate['version']})" if several else gate["gate"]
        outcome = gate["outcome"]
        table.add_row(
            name,
            Text(WORDS.get(outcome, outcome), OUTCOMES.get(outcome, "")),
            Text(gate["sentence"]),
            _needs(gate),
        )
    return table


def _needs(gate: dict[str, Any]) -> str:
    """How much more evidence, as far as anybody can tell."""
    if gate["outcome"] != "not_enough" or gate["rows_to_go"] is None:
        return ""
    seconds = gate["seconds_to_go"]
    return f"{gate['rows_to_go']:,} more" + ("" if seconds is None else f", {_seconds(seconds)}")


def revision_rows(revisions: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The lines of a history: number, time, event, who, traffic, reason."""
    return [
        (
            f"{each['revision']}{' (void)' if each.get('void') else ''}",
            moment(each["time"]),
            each["event"],
            each["actor"],
            _traffic(each),
            each["reason"],
        )
        for each in revisions
    ]


def said(revision: dict[str, Any]) -> str:
    """One line about a revision that a command has appended.

    >>> arms = [{"version": "1.0.0", "percent": 100.0}]
    >>> said({"deployment": "m", "revision": 3, "event": "abort", "arms": arms, "shadow": None})
    'm revision 3: abort, 1.0.0 100 %'
    """
    return (
        f"{revision['deployment']} revision {revision['revision']}: {revision['event']}, "
        f"{_traffic(revision)}"
    )


def _traffic(revision: dict[str, Any]) -> str:
    parts = [f"{arm['version']} {arm['percent']:g} %" for arm in revision["arms"]]
    shadow = revision["shadow"]
    if shadow is not None:
        parts.append(f"{shadow['percent']:g} % copied to {shadow['version']}")
    return ", ".join(parts)


def moment(time: float) -> str:
    """A time of day, in UTC.

    >>> moment(0.0)
    '1970-01-01 00:00:00'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(seconds: float) -> str:
    """A length of time in the two largest units that it has."""
    whole = math.ceil(seconds)
    for unit, name, below, smaller in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // below} {smaller}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
