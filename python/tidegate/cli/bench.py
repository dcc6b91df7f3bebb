"""`tidegate bench`: latency and throughput in ratios, and whether the budgets are met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, emit, table
from tidegate.errors import ConfigurationError

__all__ = ["bench"]

SUITES: Final = (
    "basic",
    "limits",
    "overload",
    "grpc",
    "peers",
    "memory",
    "loading",
    "validation",
    "features",
    "watching",
    "moving",
)
"""The suites of `tidegate.bench.suite`, which is imported when it is run; the first is the usual."""


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="A look in a minute; too short to be quoted.")
    ] = False,
    enforce: Annotated[
        bool, typer.Option("--enforce", help="Exit with 1 when a budget is missed or not measured.")
    ] = False,
    budgets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The goals; by default benches/budgets.toml."),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help=f"What to measure: {', '.join(SUITES)}; may be repeated."
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every suite.")] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of the suite of peers only this one; may be repeated."),
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="What the peers serve: trees, flights; may be repeated, else both."
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw throughput, latency and goodput as SVG here."),
    ] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure features, embedded predictions and HTTP against peers, in one run and in turns."""
    from tidegate.bench import judge, read_budgets, run
    from tidegate.bench.budgets import folder
    from tidegate.bench.context import FULL, QUICK
    from tidegate.bench.peers import AT, SUBJECTS
    from tidegate.bench.report import (
        document,
        figure_rows,
        http_rows,
        peer_rows,
        verdict_rows,
    )

    place = folder()
    path = budgets or (place / "budgets.toml" if place else None)
    if path is None and enforce:
        raise ConfigurationError("there is no benches/budgets.toml here: name one with --budgets")
    goals = read_budgets(path) if path else []
    suites = list(SUITES) if full else list(dict.fromkeys(suite or SUITES[:1]))
    results = run(
        replace(QUICK if quick else FULL, peers=peer or (), subjects=subject or ()),
        suites=suites,
        progress=lambda text: DIAGNOSTICS.print(f"• {text}", style="dim"),
    )
    verdicts = judge(goals, results.figures, suites=suites)
    report = document(results, verdicts)
    if plots is not None:
        from tidegate.bench.plots import draw

        DIAGNOSTICS.print("• drawing", style="dim")
        draw(report, plots)
    if as_json:
        emit(report)
    else:
        for section, figures in (("features", results.features), ("embedded", results.embedded)):
            rows = [(name, _plain(value)) for name, value in figures.items()]
            if rows:
                table((section, ""), rows, right=("",))
                CONSOLE.print()
        table(
            ("server, one core", "conn.", "req/s", "p50 ms", "p99 ms", "CPU µs", "batch", "errors"),
            http_rows(results),
            right=("conn.", "req/s", "p50 ms", "p99 ms", "CPU µs", "batch", "errors"),
        )
        CONSOLE.print()
        for served in SUBJECTS:
            ratio = f"tidegate at {AT} over it"
            peers = peer_rows(results, served)
            if peers:
                columns = (f"peer, {served}", "its best", "conn.", "req/s", ratio, "versions")
                table(columns, peers, right=("conn.", "req/s"))
                CONSOLE.print()
        table(("memory", "MB"), [(n, f"{mb:.0f}") for n, mb in results.memory_mb.items()])
        CONSOLE.print()
        table(("ratio", "median", "interval"), figure_rows(results, verdicts))
        CONSOLE.print()
        table(("budget", "goal", "median", "interval", "verdict"), verdict_rows(verdicts))
        for what, why in results.not_measured.items():
            CONSOLE.print(f"not measured: {what}: {why}", markup=False)
        for note in results.notes:
            CONSOLE.print(f"note: {note}", markup=False)
        CONSOLE.print(f"{results.seconds:.0f} s")
    bad = [verdict for verdict in verdicts if verdict.status != "passed"]
    if enforce and bad:
        for verdict in bad:
            DIAGNOSTICS.print(f"{verdict.status}: {verdict.budget.name} ({verdict.budget.what})")
        raise typer.Exit(1)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
