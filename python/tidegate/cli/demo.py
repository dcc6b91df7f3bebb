"""`tidegate demo`: the product's main job on real data, in two minutes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, emit, table
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.demo.story import Outcome

__all__ = ["demo"]

FIRST_LIVE_MONTH: Final = 7
LAST_LIVE_MONTH: Final = 12
SHOWN_COLUMNS: Final = 2
"""A terminal has eighty columns; `--json` and the report have more."""

SHOWN_ALARMS: Final = 2

EXAMPLE_ROW: Final = (
    '{"carrier": "UA", "origin": "EWR", "dest": "SFO", "distance": 2565, '
    '"scheduled_departure": "2013-12-20T18:00:00Z", "scheduled_arrival": "2013-12-20T21:30:00Z"}'
)
"""A flight of which the plane and the weather are not known."""

LEAST_ROWS: Final = 200
"""Fewer flights a month would leave the trees nothing to learn from."""


class _Terminal:
    """Tells the story on standard error, so that standard output has the results only."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=DIAGNOSTICS,
            transient=True,
        )
        self._task = self._progress.add_task("", visible=False, total=None)
        self._title = ""
        self._notes: list[str] = []

    def begin(self, title: str) -> None:
        self._title = title
        self._notes = []
        self._progress.reset(self._task, description=title, visible=True, total=None)

    def advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        self._notes.append(text)

    def end(self, seconds: float) -> None:
        self._progress.console.print(f"[green]✓[/] {self._title} [dim]{seconds:.1f} s[/]")
        for text in self._notes:
            self._progress.console.print(f"  {text}", markup=False)

    def __enter__(self) -> _Terminal:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class _Nobody:
    """Nobody is watching: a program waits for the JSON."""

    def begin(self, title: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, seconds: float) -> None: ...


def demo(
    directory: Annotated[
        Path, typer.Option(help="Where the registry and the report will be.")
    ] = Path("demo-output"),
    months: Annotated[
        str, typer.Option(help="The months to replay: 7-12, or some of them such as 7,9,12.")
    ] = "7-12",
    rows_per_month: Annotated[
        int | None,
        typer.Option(min=LEAST_ROWS, help="At most so many flights of each month; all by default."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The server's; 0 is a free one.")] = 0,
    serve: Annotated[bool, typer.Option("--serve", help="Leave the server running.")] = False,
    load_seconds: Annotated[
        float, typer.Option(min=0, max=60, help="How long to measure for; 0 leaves it out.")
    ] = 3.0,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Train on half a year of flights, serve the model, replay the other half, see what drifted."""
    from tidegate.demo.story import Plan, tell

    plan = Plan(
        directory=directory,
        months=parse_months(months),
        rows_per_month=rows_per_month,
        port=port,
        serve=serve,
        load_seconds=load_seconds,
    )
    # Ended from outside, the demo still stops its server.
    signal.signal(signal.SIGTERM, _end)
    if as_json:
        emit(tell(plan, _Nobody()).as_json())
        return
    with _Terminal() as terminal:
        outcome = tell(plan, terminal)
    _show(outcome)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


def parse_months(text: str) -> tuple[int, ...]:
    """Reads months such as `7-12` or `7,9,12`.

    Args:
        text: Numbers and ranges with commas between them.

    Returns:
        The months in the order of the year, each once.

    Raises:
        InputError: It is no month of July to December.

    >>> parse_months("9,7-8")
    (7, 8, 9)
    """
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found.update(range(int(first), int(last or first) + 1))
        except ValueError:
            raise InputError(f"--months {text}: write numbers, such as 7-12 or 7,9,12") from None
    if not found or min(found) < FIRST_LIVE_MONTH or max(found) > LAST_LIVE_MONTH:
        raise InputError(
            f"--months {text}: the model is trained on January to June, so replay some of 7 to 12"
        )
    return tuple(sorted(found))


def _show(outcome: Outcome) -> None:
    CONSOLE.print()
    table(
        ("month", "flights", "late", "predicted", "AUC", "PSI", "what drifted (PSI)"),
        [
            (
                month.label,
                f"{month.rows:,}",
                f"{month.late_rate:.3f}",
                f"{month.predicted:.3f}",
                f"{month.auc:.3f}",
                f"{month.prediction_psi:.3f}",
                ", ".join(f"{name} {psi:.2f}" for name, psi in month.drifted[:SHOWN_COLUMNS]),
            )
            for month in outcome.months
        ],
        title="Live traffic against January to June, as the server reports it",
        right=("flights", "late", "predicted", "AUC", "PSI"),
    )
    CONSOLE.print(
        "late: what came true · predicted: mean of the predictions, and PSI: how far they moved\n",
        style="dim",
    )
    table(
        ("month", "acc. est.", "accuracy", "Brier est.", "Brier", "alarms (rows moved)"),
        [
            (
                month.label,
                f"{month.seen.estimated['accuracy']:.3f}",
                f"{month.seen.labelled['accuracy']:.3f}",
                f"{month.seen.estimated['brier']:.3f}",
                f"{month.seen.labelled['brier']:.3f}",
                _alarms(month.seen.alarms),
            )
            for month in outcome.months
        ],
        title="Quality estimated before labels, then by labels; alarms at the end of each month",
        right=("acc. est.", "accuracy", "Brier est.", "Brier"),
    )
    CONSOLE.print(
        "labels of a month come after the next month, and correct later estimates\n", style="dim"
    )
    if outcome.load:
        table(
            ("connections", "requests/s", "p50 µs", "p99 µs", "errors"),
            [
                (
                    run.connections,
                    f"{run.per_second:,.0f}",
                    f"{run.p50_us:,.0f}",
                    f"{run.p99_us:,.0f}",
                    run.errors,
                )
                for run in outcome.load
            ],
            title="One-row JSON requests, all different, every answer checked",
            right=("connections", "requests/s", "p50 µs", "p99 µs", "errors"),
        )
        CONSOLE.print()
    program, registry = _program(), _shown(outcome.registry)
    CONSOLE.print(f"Registry  {registry}")
    CONSOLE.print(f"Report    {_shown(outcome.report)}  (opens offline)")
    running = outcome.pid is not None
    if running:
        CONSOLE.print(f"Server    {outcome.address}  (to end it: kill {outcome.pid})")
    CONSOLE.print("\nWhat to type next:")
    here = f"--registry {registry}"
    if running:
        CONSOLE.print(f"  {program} drift flight-delay --url {outcome.address}")
        CONSOLE.print(f"  curl {outcome.address}/metrics")
    else:
        CONSOLE.print(f"  {program} serve flight-delay@champion {here}")
    CONSOLE.print(f"  {program} registry show flight-delay@champion {here}")
    CONSOLE.print(f"  {program} predict flight-delay@champion {here} --row '{EXAMPLE_ROW}'")


def _alarms(alarms: tuple[tuple[str, float], ...]) -> str:
    if not alarms:
        return "none"
    shown = ", ".join(f"{name} {moved:.0%}" for name, moved in alarms[:SHOWN_ALARMS])
    more = len(alarms) - SHOWN_ALARMS
    return f"{shown}, {more} more" if more > 0 else shown


def _program() -> str:
    """How the reader can type this program: by its name, or by its path if it is on none."""
    return "tidegate" if shutil.which("tidegate") else _shown(sys.argv[0])


def _shown(path: str) -> str:
    """A path as short as it can be typed from here."""
    here = os.path.relpath(path)
    return path if here.startswith("..") else here
