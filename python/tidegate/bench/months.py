"""The flights from July to December against January to June, as a monitor and as Evidently see them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MONTHS", "Replay", "agreement", "write"]

FILE: Final = "flights.parquet"
"""The flights that arrived, without the two schedule times: time only goes on."""

MONTHS: Final = range(7, 13)

SHARE: Final = 0.1
"""The distance from which Evidently calls a column drifted, for PSI and Jensen-Shannon by default."""

KOLMOGOROV: Final = 1.3581
"""The quantile of Kolmogorov's distribution at 0.95: beyond it a test at 5 % finds a difference."""

Decisions = dict[str, dict[str, dict[str, tuple[float, bool]]]]
"""By method, month and column: the figure, and whether the column is called drifted."""


def write(folder: Path) -> None:
    """Writes the flights for both contenders.

    Args:
        folder: Where the suite keeps its data.
    """
    import polars as pl

    from tidegate.demo import data, task

    joined = data.join(data.read()).table
    columns = [name for name in task.RAW if name not in task.CLOCK]
    joined.select("month", *columns).with_columns(pl.col("month").cast(pl.Int64)).write_parquet(
        folder / FILE
    )


class Replay:
    """The months through a monitor with a baseline of January to June.

    Args:
        folder: Where the flights are.
    """

    def __init__(self, folder: Path) -> None:
        import polars as pl

        from tidegate.monitoring import Baseline

        flights = pl.read_parquet(folder / FILE)
        self._baseline = Baseline(self._of(flights, range(1, 7)))
        self._months = [(month, self._of(flights, [month])) for month in MONTHS]

    @staticmethod
    def _of(flights: pl.DataFrame, months: Any) -> pl.DataFrame:
        import polars as pl

        return flights.filter(pl.col("month").is_in(list(months))).drop("month")

    def run(self) -> dict[str, Any]:
        """Counts all months, a window each, and makes the report.

        Returns:
            `decisions`, and by month the columns with an `alarm` when it had ended.
        """
        from tidegate.monitoring import Monitor, Watching

        watching = Watching(rows=10**9, seconds=math.inf)
        monitor = Monitor(self._baseline, watching=watching, now=0.0)
        alarms: dict[str, list[str]] = {}
        found = monitor.report(now=0.0)
        for month, rows in self._months:
            monitor.observe(rows, now=float(month))
            monitor.close(label=str(month), now=float(month))
            found = monitor.report(now=float(month))
            raised = found.alarms.raised if found.alarms is not None else ()
            alarms[str(month)] = [column.name for column in raised]
        decisions: Decisions = {"psi": {}, "jensenshannon": {}, "ks": {}}
        for window in found.windows:
            label = str(window.label)
            chance = math.sqrt(1 / window.rows + 1 / found.baseline_rows)
            for method, figures in (
                ("psi", {c.name: (c.psi, SHARE) for c in window.columns}),
                ("jensenshannon", {c.name: (c.js, SHARE) for c in window.columns}),
                ("ks", {c.name: (c.ks, KOLMOGOROV * chance) for c in window.columns}),
            ):
                decisions[method][label] = {
                    name: (value, value >= due)
                    for name, (value, due) in figures.items()
                    if value is not None
                }
        return {"decisions": decisions, "alarms": alarms}


def agreement(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """How often both call a column drifted, or both do not.

    Args:
        ours: The decisions of `Replay`.
        theirs: The peer's, in the same form.

    Returns:
        By method how many pairs of month and column agree, and how many there are.

    Example:
        >>> ours = {"psi": {"7": {"temp": (6.5, True), "engines": (0.0, False)}}}
        >>> agreement(ours, {"psi": {"7": {"temp": (5.5, True), "engines": (0.2, True)}}})
        {'psi': (1, 2)}
    """
    found = {}
    for method, months in ours.items():
        pairs = [
            (mine[1], theirs[method][month][column][1])
            for month, columns in months.items()
            for column, mine in columns.items()
        ]
        found[method] = (sum(mine == their for mine, their in pairs), len(pairs))
    return found
