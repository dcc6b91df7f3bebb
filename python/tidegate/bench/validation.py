"""The suite of validation: twelve rules and duplicate rows over the flights, in turns with peers.

Each peer stands in an environment from its own lock and holds the table in the form that it likes
best; tidegate takes it from polars. All run on one core, one turn each, again and again.
"""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import orjson

from tidegate.bench import budgets
from tidegate.bench.measure import figure
from tidegate.bench.peers import ENVIRONMENTS, install
from tidegate.bench.process import Worker, environment, on_core
from tidegate.errors import BackendError, InputError

if TYPE_CHECKING:
    import polars as pl

    from tidegate.bench.context import Context
    from tidegate.validation import Rules

__all__ = ["Ours", "measure", "rules_of_flights"]

PEERS: Final = ("polars", "patito", "pandera", "great_expectations")
"""The peers by the folders of `benches/peers`, the fastest first."""

TURNS: Final = 10
"""Turns of each contender."""

KEYS: Final = ("year", "month", "day", "flight", "carrier")
"""The columns in which rows are to differ."""

RANGES: Final = {
    "month": (1, 12),
    "day": (1, 31),
    "dep_time": (1, 2400),
    "arr_time": (1, 2400),
    "distance": (1, 6000),
    "air_time": (1, 1000),
}

ROW_CALLS: Final = 2_000
"""Requests of one row that the guard is timed with."""


def rules_of_flights() -> Rules:
    """The twelve rules of the contest, the same as in `benches/peers/contest.py`.

    >>> len(rules_of_flights())
    12
    """
    from tidegate.features import col
    from tidegate.validation import Rules, in_range, length, matches, not_null, one_of, rule

    carriers = [
        "9E",
        "AA",
        "AS",
        "B6",
        "DL",
        "EV",
        "F9",
        "FL",
        "HA",
        "MQ",
        "OO",
        "UA",
        "US",
        "VX",
        "WN",
        "YV",
    ]
    return Rules(
        *(in_range(name, low, high, name=name) for name, (low, high) in RANGES.items()),
        one_of("origin", ["EWR", "JFK", "LGA"], name="origin"),
        one_of("carrier", carriers, name="carrier"),
        matches("tailnum", "^N[0-9A-Z]+$", name="tailnum"),
        length("dest", 3, 3, name="dest"),
        not_null("dep_delay", name="dep_delay", allow=0.03),
        rule(col("hour") * 100 + col("minute") == col("sched_dep_time"), name="clock"),
    )


class Ours:
    """The worker with tidegate's validation.

    Args:
        path: The table as Parquet.
    """

    def __init__(self, path: str) -> None:
        import polars as pl

        from tidegate.validation import Rules, unique

        self._table: pl.DataFrame = pl.read_parquet(path)
        self._rules = {"rules": rules_of_flights(), "duplicates": Rules(unique(*KEYS))}

    def turn(self, what: str) -> dict[str, Any]:
        """One validation: seconds, and by rule how many rows break it."""
        gc.collect()
        rules, begin = self._rules[what], time.perf_counter()
        report = rules.validate(self._table)
        seconds = time.perf_counter() - begin
        broken = {rule.name: rule.failures for rule in report.rules if rule.failures}
        return {"seconds": seconds, "failures": broken}

    def rows(self, calls: int) -> list[float]:
        """Rows one by one through the guard, in Rust alone: microseconds a row, 16 at a time."""
        from tidegate import _core
        from tidegate.features import Schema

        rows = self._table.sample(min(calls, self._table.height), seed=7)
        schema = Schema.infer(self._table, nullable=True)
        rules = self._rules["rules"].to_json()
        native = _core.Schema.from_json(schema.to_json())
        return [taken / 1e3 for taken in _core.time_guard(rules, native, rows)]


class Peer:
    """A peer's process, which takes a turn for each line that it is sent."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        core: int,
        arguments: Sequence[str],
        script: str = "validate.py",
    ) -> None:
        with on_core(core):
            self._process = subprocess.Popen(
                [str(python), str(folder / script), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
        self._name = folder.name
        self._read()

    def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise BackendError(f"{self._name} has no pipes")
        line = self._process.stdout.readline()
        if not line:
            raise BackendError(f"{self._name} ended with status {self._process.wait()}")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def turn(self, what: str = "go") -> dict[str, Any]:
        """One turn at a task: seconds, and what it found."""
        if self._process.stdin is None:
            raise BackendError(f"{self._name} has no pipes")
        self._process.stdin.write(what.encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def measure(context: Context) -> None:
    """Measures tidegate and each peer in turns.

    Args:
        context: Where the figures go: `validation_over_NAME` is the time of the peer over ours,
            `duplicates_over_polars` the same for duplicate rows, `validation_ms` and
            `duplicates_ms` ours, `guard_row_us` one row in Rust.
    """
    context.attempt("validation", partial(_measure, context))


def _flights(context: Context) -> Path:
    from tidegate.demo import data

    table = data.read().flights
    if context.plan.table_rows is not None:
        table = table.head(context.plan.table_rows)
    path = context.folder / "flights.parquet"
    table.drop("time_hour").write_parquet(path)
    return path


def _measure(context: Context) -> None:
    path = _flights(context)
    core = context.places.server
    with Worker("validation", core, path=str(path)) as ours:
        ours.call("turn", what="rules")
        row = ours.call("rows", calls=ROW_CALLS)
        context.results.figures["guard_row_us"] = figure(row)
        place = budgets.folder()
        chosen = [name for name in PEERS if not context.plan.peers or name in context.plan.peers]
        if place is None:
            context.results.not_measured["peers"] = "there is no benches/peers: use the source tree"
            chosen = []
        for name in chosen:
            folder = (place or Path()) / "peers" / name
            context.attempt(name, partial(_against, context, ours, folder, path, "rules"))
        if "polars" in chosen and place is not None:
            folder = place / "peers" / "polars"
            context.attempt(
                "duplicates", partial(_against, context, ours, folder, path, "duplicates")
            )


def _against(context: Context, ours: Worker, folder: Path, table: Path, what: str) -> None:
    context.progress(f"validation: {what} against {folder.name}")
    python = install(folder, folder.parents[2] / ENVIRONMENTS)
    arguments = [str(table)] if what == "rules" else [str(table), what]
    peer = Peer(python, folder, context.places.server, arguments)
    try:
        peer.turn()
        turns = max(3, min(TURNS, context.plan.repetitions * 4))
        mine, theirs = [], []
        for _ in range(turns):
            mine.append(ours.call("turn", what=what))
            theirs.append(peer.turn())
    finally:
        peer.close()
    _agree(folder.name, what, mine[-1]["failures"], theirs[-1]["failures"])
    pairs = zip(mine, theirs, strict=True)
    ratios = [their["seconds"] / my["seconds"] for my, their in pairs]
    prefix = "validation" if what == "rules" else what
    figures = context.results.figures
    figures[f"{prefix}_over_{folder.name}"] = figure(ratios)
    figures[f"{prefix}_ms"] = figure([my["seconds"] * 1e3 for my in mine])
    milliseconds = median(their["seconds"] for their in theirs) * 1e3
    context.results.notes.append(f"{what}: {folder.name} took {milliseconds:.1f} ms")


def _agree(name: str, what: str, mine: dict[str, int], theirs: dict[str, Any]) -> None:
    """Who looks away is fast: the contenders have to find the same."""
    if what == "duplicates":
        # polars counts the first of equal rows too.
        if bool(mine) != bool(theirs["duplicates"]):
            raise InputError(f"{name} finds {theirs} where tidegate finds {mine}")
        return
    broken = {rule for rule, rows in theirs.items() if rows}
    if broken != {rule for rule in mine if rule != "dep_delay"}:
        raise InputError(f"{name} finds {theirs} where tidegate finds {mine}")
