"""Watching any tables, without the runtime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from tidegate import _core
from tidegate.errors import InputError
from tidegate.monitoring.report import DriftReport
from tidegate.monitoring.watching import Watching
from tidegate.types import ArrowTable

__all__ = ["Baseline", "Monitor"]


class Baseline:
    """What live rows are compared with: the cells of every column and their counts.

    Numbers and timestamps fall into bins between quantiles of the table, strings and bools into
    their frequent values; `docs/drift.md` defines the cells.

    Args:
        table: the rows that the model was trained on, with its predictions: any Arrow table
            (pyarrow, polars, pandas 2.2 or newer).
        predictions: the columns that are predictions; the others are features.
        bins: quantile bins of a numeric column, 2 to 100; 10 when not given.
        segment: the feature by whose values rows will be told apart, so that those of each value are
            compared with their like.

    Raises:
        InputError: no rows, an unknown column, or a type that is not watched.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"seats": [50, 100, 150, None], "late": [0.1, 0.2, 0.4, 0.3]})
        >>> Baseline(table, predictions=["late"]).rows
        4

    Source:
        `docs/drift.md`.
    """

    def __init__(
        self,
        table: ArrowTable,
        *,
        predictions: Sequence[str] = (),
        bins: int | None = None,
        segment: str | None = None,
    ) -> None:
        self._native = _core.Baseline(table, list(predictions), bins, segment)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads a `baseline.json`, such as a bundle holds.

        Raises:
            StateError: the text is damaged, or of a newer version.
        """
        baseline = cls.__new__(cls)
        baseline._native = _core.Baseline.from_json(text)
        return baseline

    def to_json(self) -> str:
        """The baseline as canonical, versioned JSON."""
        return self._native.to_json()

    @property
    def rows(self) -> int:
        """How many rows it was taken from."""
        return self._native.rows

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).from_json, (self.to_json(),)


class Monitor:
    """Counts live rows into windows over a baseline. Threads may share one.

    A window closes when it holds its rows or spans its seconds, whichever comes first, or when
    `close` is called; a table that fills a window is split between two.

    Args:
        baseline: what is compared with.
        watching: windows of another kind, and what an alarm is; 10,000 rows or an hour when not
            given, `math.inf` seconds for no bound.
        history: closed windows that are kept; 48 when not given.
        now: when the first window begins, in seconds of any clock; the system's when not given.

    Raises:
        InputError: a bound is out of range, or a column to be ignored is not watched.

    Example:
        >>> import numpy as np, pyarrow as pa
        >>> rng = np.random.default_rng(0)
        >>> monitor = Monitor(Baseline(pa.table({"x": rng.normal(size=10_000)})), now=0.0)
        >>> monitor.observe(pa.table({"x": rng.normal(0.5, 1, 5000)}), now=1.0)
        >>> monitor.close(label="shifted", now=2.0)
        True
        >>> column = monitor.report(now=2.0).windows[-1].column("x")
        >>> round(column.psi, 2), column.level
        (0.25, 'moderate')

    Source:
        `docs/drift.md`.
    """

    def __init__(
        self,
        baseline: Baseline,
        *,
        watching: Watching | None = None,
        history: int | None = None,
        now: float | None = None,
    ) -> None:
        said = (watching or Watching()).said()
        if watching is not None and watching.version is not None:
            raise InputError(
                f"reference {watching.version!r}: pass the baseline of that version instead"
            )
        self._native = _core.Monitor(baseline._native, _clock(now), said, history)

    def observe(self, table: ArrowTable, *, now: float | None = None) -> None:
        """Counts the rows of a table with the columns of the baseline.

        Raises:
            InputError: a column is absent or of another type.
        """
        self._native.observe(table, _clock(now))

    def close(self, *, label: str | None = None, now: float | None = None) -> bool:
        """Closes the open window under a label; false if it has no rows and so stays open."""
        return self._native.close(_clock(now), label)

    def snapshot(self, *, now: float | None = None) -> str:
        """The windows as canonical, versioned JSON: what `merged` reads."""
        return self._native.snapshot(_clock(now))

    @classmethod
    def merged(
        cls, baseline: Baseline, snapshots: Sequence[str], *, watching: Watching | None = None
    ) -> Self:
        """The windows of several monitors over one baseline as those of one.

        Windows that began in the same span of `watching.seconds` are one; their counts add up
        exactly.

        Args:
            baseline: the baseline of all.
            snapshots: the newest `snapshot` of each.
            watching: windows and alarms, as each of the monitors has them.

        Raises:
            StateError: a snapshot is damaged, of a newer version, or over another baseline.
        """
        monitor = cls.__new__(cls)
        said = (watching or Watching()).said()
        monitor._native = _core.Monitor.merged(baseline._native, list(snapshots), said)
        return monitor

    def report(self, *, segment: str | None = None, now: float | None = None) -> DriftReport:
        """Compares every kept window with the baseline, oldest first.

        Args:
            segment: only the rows of this value of `watching.segment`.
            now: seconds of the monitor's clock.

        Raises:
            NotFoundError: the value is not told apart.
        """
        return DriftReport.from_json(self._native.report(_clock(now), segment))


def _clock(now: float | None) -> float:
    return time.time() if now is None else now
