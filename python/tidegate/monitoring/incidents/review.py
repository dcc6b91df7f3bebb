"""An incident as a Markdown review, with its timeline filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.monitoring.incidents.rollout import rollout_evidence
from tidegate.monitoring.incidents.text import plain

__all__ = ["review", "timeline"]

BAR: Final = 24
"""Characters of the longest bar of a histogram."""

MOST_CELLS: Final = 16

WHOLE: Final = 10_000
"""Basis points of all traffic."""


def when(seconds: float) -> str:
    """A time for people, in UTC.

    Example:
        >>> when(0.0)
        '1970-01-01 00:00:00'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def timeline(records: Iterable[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """What happened when: what moved before, alerts, people.

    Args:
        records: Of one incident.
    """
    found: dict[tuple[float, str], None] = {}
    for record in records:
        for at, text in _lines(record):
            found[at, text] = None
    # Of what is recorded for one moment the order on record counts.
    return sorted(found, key=lambda line: line[0])


def _lines(record: Mapping[str, Any]) -> Iterable[tuple[float, str]]:
    at, kind = float(record["at"]), record["type"]
    if kind == "opened":
        yield at, f"incident opens: {record['title']}"
    elif kind == "alert":
        about = " ".join(f"{name}={text}" for name, text in sorted(record["labels"].items()))
        word = "fires" if record["status"] == "firing" else "is resolved"
        text = f" ({record['text']})" if record["text"] and word == "fires" else ""
        yield at, f"rule {record['rule']} {word}: {about}{text}"
    elif kind == "notified":
        owner = f", {record['owner']}'s turn" if record["owner"] else ""
        yield at, f"{', '.join(record['channels']) or 'nobody'} told: {record['kind']}{owner}"
    elif kind == "evidence":
        for change in record["changes"]:
            before, after = change["before"] or "nothing", change["after"] or "nothing"
            yield change["at"], f"{change['what']} {change['name']}: {before} → {after}"
        for cause in record["causes"]:
            if cause["kind"] != "change":
                yield cause["at"], f"{cause['what']} moves: {cause['detail']}"
    elif kind == "rollout":
        yield at, f"rollout {record['rollout']} is given up: {record['reason']}"
    elif kind == "acknowledged":
        yield at, f"{record['author']} acknowledges"
    elif kind == "noted":
        yield at, f"{record['author']} notes: {record['text']}"
    elif kind == "resolved":
        yield at, f"incident is resolved by {record['author']}"


def review(incident: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """The review as Markdown.

    Args:
        incident: With `id`, `title`, `severity`, `status`, `opened`, `acknowledged_at`, `resolved`.
        records: Of the incident, oldest first.

    Returns:
        The text; what only people know has a heading and an empty line below it.

    Example:
        >>> incident = {"id": "x", "title": "slow", "severity": "warning", "status": "open"}
        >>> review({**incident, "opened": 0.0}, []).splitlines()[0]
        '# Incident x: slow'
    """
    evidence = next((record for record in records if record["type"] == "evidence"), None)
    parts = [
        f"# Incident {incident['id']}: {plain(incident['title'])}",
        _facts(incident),
        "## What happened\n\n<!-- In two or three sentences, for somebody who was not there. -->",
        "## Impact\n\n<!-- Who noticed what, and for how long. -->",
        "## Timeline (UTC)\n\n" + _timeline(records),
    ]
    if evidence is not None:
        parts.append("## Suggested causes, by what moved first\n\n" + _causes(evidence))
        parts.append("## Evidence when it opened\n\n" + "\n\n".join(_evidence(evidence)))
    for record in records:
        if record["type"] == "rollout":
            title = f"## Rollout {record['rollout']}"
            parts.append("\n\n".join([title, *rollout_evidence(record)]))
    notes = [record for record in records if record["type"] == "noted"]
    if notes:
        lines = (f"- {when(n['at'])} {plain(n['author'])}: {plain(n['text'])}" for n in notes)
        parts.append("## Notes\n\n" + "\n".join(lines))
    parts.append("## Cause\n\n<!-- What made this happen, and what made it possible. -->")
    parts.append("## What we change\n\n| what | owner | until |\n| --- | --- | --- |\n| | | |")
    return "\n\n".join(parts) + "\n"


def _facts(incident: Mapping[str, Any]) -> str:
    opened, resolved = incident["opened"], incident.get("resolved")
    acknowledged = incident.get("acknowledged_at")
    rows = [
        ("severity", incident["severity"]),
        ("status", incident["status"]),
        ("opened", f"{when(opened)} UTC"),
        (
            "acknowledged",
            f"{when(acknowledged)} UTC by {incident['acknowledged']}, "
            f"after {_span(acknowledged - opened)}"
            if acknowledged is not None
            else "no",
        ),
        (
            "resolved",
            f"{when(resolved)} UTC by {incident['resolver']}, after {_span(resolved - opened)}"
            if resolved is not None
            else "no",
        ),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {n} | {plain(t)} |" for n, t in rows)])


def _timeline(records: Sequence[Mapping[str, Any]]) -> str:
    lines = timeline(records)
    if not lines:
        return "Nothing is on record."
    rows = [f"| {when(at)} | {plain(text)} |" for at, text in lines]
    return "\n".join(["| time | what |", "| --- | --- |", *rows])


def _causes(evidence: Mapping[str, Any]) -> str:
    causes = evidence["causes"]
    if not causes:
        return "Nothing that is watched moved before the incident."
    rows = [
        f"{number}. {when(cause['at'])}: {plain(cause['what'])} ({cause['kind']}), "
        f"{plain(cause['detail'])}"
        for number, cause in enumerate(causes, 1)
    ]
    return "What moves first need not be the cause.\n\n" + "\n".join(rows)


def _evidence(evidence: Mapping[str, Any]) -> Iterable[str]:
    rows = [
        f"| {plain(d['name'])} | {arm['version']} | {arm['weight'] / 100:g} % | {d['revision']} | "
        f"{(arm['digest'] or '–')[:19]} |"
        for d in evidence["served"]
        for arm in d.get("arms", [{**d, "weight": WHOLE}])
    ]
    head = [
        "| served | version | traffic | revision | digest |",
        "| --- | --- | ---: | --- | --- |",
    ]
    yield "\n".join([*head, *rows])
    if evidence["stages"]:
        rows = [
            f"| {plain(s.get('model', ''))} {s.get('version', '')} | {s.get('stage', '')} | "
            f"{_milliseconds(s['before'])} | {_milliseconds(s['now'])} |"
            for s in evidence["stages"]
        ]
        head = [
            "| model | stage | mean before, ms | mean now, ms |",
            "| --- | --- | ---: | ---: |",
        ]
        yield "\n".join([*head, *rows])
    for column in evidence["columns"]:
        yield _histogram(column)
    if evidence["examples"]:
        rows = [
            f"- {when(e['at'])}: {plain(e['why'])}"
            + (f" (request {plain(e['request'])})" if "request" in e else "")
            + (f" `{plain(str(e['row']))}`" if "row" in e else "")
            for e in evidence["examples"]
        ]
        yield "Failing examples, without their values:\n\n" + "\n".join(rows)
    for what, why in evidence["absent"].items():
        yield f"Not to be had: {plain(what)} ({plain(why)})."


def _histogram(column: Mapping[str, Any]) -> str:
    cells = sorted(column["cells"], key=lambda cell: -max(cell["baseline"], cell["live"]))[
        :MOST_CELLS
    ]
    kept = [cell for cell in column["cells"] if cell in cells]
    totals = [sum(cell[side] for cell in column["cells"]) or 1 for side in ("baseline", "live")]
    shares = [(c["label"], c["baseline"] / totals[0], c["live"] / totals[1]) for c in kept]
    most = max((max(p, q) for _, p, q in shares), default=1.0) or 1.0
    lines = [
        f"{label[:28]:<28} {name:<8} {share:>6.1%} {'█' * round(BAR * share / most)}"
        for label, p, q in shares
        for label, name, share in ((label, "baseline", p), ("", "live", q))
    ]
    return (
        f"**{plain(column['column'])}** of {plain(column['model'])}, window "
        f"{plain(column['window'])}: PSI {column['psi']:.3f} ({column['psi_noise']:.3f} by chance), "
        f"missing {column['missing']['baseline']:.1%} → {column['missing']['live']:.1%}\n\n"
        "```text\n" + "\n".join(line.replace("`", "'") for line in lines) + "\n```"
    )


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.3g}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )
