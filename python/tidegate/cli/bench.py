"""`tidegate bench`: latency and throughput in ratios, and whether the budgets are met."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, emit, table
from tidegate.errors import ConfigurationError

__all__ = ["bench"]


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
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Instead, other servers, each in an environment of its own."),
    ] = False,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Measure features, embedded predictions and HTTP against peers, in one run and in turns."""
    if peers:
        _peers(quick=quick, as_json=as_json)
        return
    from tidegate.bench import judge, read_budgets, run
    from tidegate.bench.budgets import folder
    from tidegate.bench.report import document, figure_rows, http_rows, verdict_rows
    from tidegate.bench.suite import FULL, QUICK

    place = folder()
    path = budgets or (place / "budgets.toml" if place else None)
    if path is None and enforce:
        raise ConfigurationError("there is no benches/budgets.toml here: name one with --budgets")
    goals = read_budgets(path) if path else []
    results = run(
        QUICK if quick else FULL, progress=lambda text: DIAGNOSTICS.print(f"• {text}", style="dim")
    )
    verdicts = judge(goals, results.figures)
    if as_json:
        emit(document(results, verdicts))
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
        table(("peak memory", "MB"), [(n, f"{mb:.0f}") for n, mb in results.memory_mb.items()])
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


def _peers(*, quick: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from tidegate.bench.budgets import folder
    from tidegate.bench.peers import compare

    place = folder()
    if place is None:
        raise ConfigurationError("there is no benches/peers here: run from the source tree")
    report = compare(
        place / "peers",
        seconds=0.5 if quick else 3.0,
        repetitions=1 if quick else 5,
        progress=lambda text: DIAGNOSTICS.print(f"• {text}", style="dim"),
    )
    if as_json:
        emit(asdict(report))
        return
    rows = [
        (
            name,
            str(at),
            f"{c.rate:.0f}",
            f"{c.p50_us / 1e3:.2f}",
            f"{c.p99_us / 1e3:.2f}",
            str(c.errors),
        )
        for name, cells in report.cells.items()
        for at, c in cells.items()
    ]
    columns = ("server, one core", "conn.", "req/s", "p50 ms", "p99 ms", "errors")
    table(columns, rows, right=columns[1:])
    for name, versions in report.versions.items():
        listed = ", ".join(f"{package} {version}" for package, version in versions.items())
        CONSOLE.print(f"{name}: {listed}", markup=False)
    for name, why in report.not_measured.items():
        CONSOLE.print(f"not measured: {name}: {why}", markup=False)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
