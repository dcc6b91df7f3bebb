"""The results of a run, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tidegate.bench.budgets import Verdict
from tidegate.bench.peers import SUBJECTS
from tidegate.bench.results import Results

__all__ = ["document", "figure_rows", "http_rows", "peer_rows", "verdict_rows"]


def document(results: Results, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything as one JSON document.

    Args:
        results: The results.
        verdicts: What became of the goals.
    """
    content = asdict(results)
    content["http"] = {
        name: {str(connections): cell for connections, cell in cells.items()}
        for name, cells in results.http.items()
    }
    content["budgets"] = [
        {
            "name": verdict.budget.name,
            "status": verdict.status,
            "goal": goal(verdict),
            "measured": asdict(verdict.measured) if verdict.measured else None,
        }
        for verdict in verdicts
    ]
    return content


def goal(verdict: Verdict) -> str:
    """The goal in words, such as `at least 3`."""
    budget = verdict.budget
    if budget.at_most is not None:
        return f"at most {budget.at_most:g}"
    return f"at least {budget.at_least:g}"


def verdict_rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """The cells of the table of goals: name, goal, figure, interval, verdict."""
    rows: list[tuple[str, ...]] = []
    for verdict in verdicts:
        found = verdict.measured
        figures = (
            (f"{found.median:.3g}", f"{found.low:.3g} to {found.high:.3g}") if found else ("", "")
        )
        rows.append((verdict.budget.name, goal(verdict), *figures, verdict.status))
    return rows


def figure_rows(results: Results, verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """The cells of the table of figures that no goal asks for: name, figure, interval."""
    goals = {verdict.budget.name for verdict in verdicts}
    return [
        (name, f"{found.median:.3g}", f"{found.low:.3g} to {found.high:.3g}")
        for name, found in results.figures.items()
        if name not in goals
    ]


def http_rows(results: Results) -> list[tuple[str, ...]]:
    """The cells of the table of servers: one line a server and number of connections."""
    return [
        (
            name,
            str(connections),
            f"{cell['rate']:,.0f}",
            f"{cell['p50_us'] / 1e3:.2f}",
            f"{cell['p99_us'] / 1e3:.2f}",
            f"{cell['cpu_us']:.1f}",
            f"{cell['batch']:.1f}" if cell["batch"] is not None else "",
            str(cell["errors"]),
        )
        for name, cells in results.http.items()
        for connections, cell in cells.items()
    ]


def peer_rows(results: Results, subject: str) -> list[tuple[str, ...]]:
    """The cells of the table of peers: name, its best setting, connections, rate, ratio, versions.

    Args:
        results: The results.
        subject: What they serve: a key of `tidegate.bench.peers.SUBJECTS`.
    """
    rows: list[tuple[str, ...]] = []
    for name, peer in results.peers.items():
        if subject not in peer:
            continue
        best = peer[subject]
        ratio = results.figures.get(f"{SUBJECTS[subject]}_{name}")
        rows.append(
            (
                name,
                str(best.get("best", "not measured")),
                str(best.get("connections", "")),
                f"{best['rate']:,.0f}" if "rate" in best else "",
                f"{ratio.median:.3g} ({ratio.low:.3g} to {ratio.high:.3g})" if ratio else "",
                ", ".join(f"{package} {peer['versions'][package]}" for package in peer["asked"]),
            )
        )
    return rows
