"""Reports of drift, typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, Self, TypeVar

import orjson

from tidegate.errors import StateError
from tidegate.monitoring.alarm import Alarms
from tidegate.monitoring.alarm import read as read_alarms
from tidegate.monitoring.cell import Cell

__all__ = [
    "MAJOR",
    "MODERATE",
    "Cell",
    "Compared",
    "DriftColumn",
    "DriftReport",
    "DriftWindow",
    "Figures",
    "Mistyped",
    "Segment",
    "SegmentColumn",
    "Segments",
]

VERSION: Final = 1
MODERATE: Final = 0.1
"""The PSI from which the field speaks of a moderate shift: a convention, not a test."""
MAJOR: Final = 0.25
"""The PSI from which the field speaks of a major shift: a convention, not a test."""

Role = Literal["feature", "prediction"]
Kind = Literal["numeric", "categorical"]
Level = Literal["stable", "moderate", "major", "unknown"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compared(Generic[T]):
    """A figure on both sides."""

    baseline: T
    live: T


@dataclass(frozen=True, slots=True)
class Figures:
    """Mean, standard deviation (`ddof` 0) and range of the finite values; `None` without any."""

    mean: float | None
    std: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class DriftColumn:
    """One column of a window compared with the baseline."""

    name: str
    role: Role
    kind: Kind
    dtype: str
    psi: float | None
    """Population stability index; `None` without rows."""
    psi_noise: float | None
    """The PSI to be expected without drift at these numbers of rows."""
    js: float | None
    """Jensen–Shannon distance, base 2; `None` without rows."""
    js_noise: float | None
    """The same to be expected without drift."""
    tv: float | None
    """Total variation distance: the share of rows that would have to move to another cell."""
    tv_noise: float | None
    """The same to be expected without drift."""
    ks: float | None
    """Kolmogorov–Smirnov distance over the bins; numeric columns only."""
    ks_noise: float | None
    """The same to be expected without drift."""
    missing: Compared[float]
    """Shares of missing values."""
    out_of_range: Compared[float] | None
    """Shares outside the baseline's range; numeric columns only."""
    unseen: Compared[float] | None
    """Shares of values that the baseline never saw; categorical columns only."""
    moments: Compared[Figures] | None
    """Numeric columns only."""
    cells: tuple[Cell, ...]

    @property
    def level(self) -> Level:
        """The PSI in the field's words: stable below 0.1, moderate below 0.25, major above."""
        if self.psi is None:
            return "unknown"
        if self.psi < MODERATE:
            return "stable"
        return "moderate" if self.psi < MAJOR else "major"


@dataclass(frozen=True, slots=True)
class DriftWindow:
    """A span of live rows compared with the baseline."""

    start: float
    end: float
    rows: int
    label: str | None
    closed: bool
    columns: tuple[DriftColumn, ...]

    @property
    def name(self) -> str:
        """The label, or else when the window began (UTC)."""
        if self.label is not None:
            return self.label
        try:
            return datetime.fromtimestamp(self.start, UTC).strftime("%m-%d %H:%M")
        except (OverflowError, ValueError, OSError):
            return f"{self.start:g}"

    def column(self, name: str, role: Role | None = None) -> DriftColumn:
        """The column of a name (and role, where a feature and a prediction share a name).

        Raises:
            LookupError: no such column.
        """
        for column in self.columns:
            if column.name == name and role in (None, column.role):
                return column
        names = ", ".join(column.name for column in self.columns)
        raise LookupError(f"column {name!r} is not watched: the columns are {names}")


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """How far a column of a segment has moved.

    Attributes:
        name: The column.
        role: Whether it is a feature or a prediction.
        psi: Population stability index; `None` without rows.
        psi_noise: The PSI to be expected without drift.
        tv: Total variation distance.
        tv_noise: The same to be expected without drift.
    """

    name: str
    role: Role
    psi: float | None
    psi_noise: float | None
    tv: float | None
    tv_noise: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of one value of the segment column in the last closed window.

    Attributes:
        value: The value, `(other)` for all that are not told apart, or `(missing)`.
        rows: How many there are.
        columns: How far each column has moved.
    """

    value: str
    rows: int
    columns: tuple[SegmentColumn, ...]


@dataclass(frozen=True, slots=True)
class Segments:
    """All segments side by side.

    Attributes:
        column: The column whose values are told apart.
        like_with_like: Whether the rows of a value are compared with those of the same value; else
            with all rows of the baseline, which shows as well how it differs from the others.
        values: The most frequent value of the baseline first, then `(other)` and `(missing)`.
    """

    column: str
    like_with_like: bool
    values: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Mistyped:
    """A feature that had values of a wrong type.

    Attributes:
        name: The feature.
        requests: How many requests were refused for it since the model was loaded; their rows are in
            no window.
    """

    name: str
    requests: int


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Every kept window compared with the baseline, oldest first; the last may still be open.

    Example:
        >>> report = DriftReport.from_json('{"version":1,"baseline":{"rows":10},"windows":[]}')
        >>> report.baseline_rows, report.windows
        (10, ())

    Source:
        The JSON of `GET /v1/models/{name}/drift`; `docs/drift.md` defines its figures.
    """

    baseline_rows: int
    windows: tuple[DriftWindow, ...]
    reference: str = "baseline"
    """What windows are compared with: `baseline`, or `trailing:N`."""
    sliding: DriftWindow | None = None
    """The last closed windows as one, where a sliding window was asked for."""
    decayed: DriftWindow | None = None
    """All closed windows as one, older rows weighing less, where a half-life was given."""
    late_rows: int = 0
    """Rows that came too late for their window and were counted into the next."""
    alarms: Alarms | None = None
    """What has left its reference by more than is harmless; `None` in reports of older versions."""
    segment: str | None = None
    """Which rows these are, as `column=value`, where they are those of one segment."""
    segments: Segments | None = None
    """The segments side by side, where some are told apart."""
    mistyped: tuple[Mistyped, ...] = ()
    """The features that had values of a wrong type, in the order of the schema."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads a report as the server and the runtime write it.

        Raises:
            StateError: the text is no report, or of a newer version.
        """
        try:
            document = orjson.loads(text)
            if document["version"] > VERSION:
                raise StateError(
                    f"drift report version {document['version']} is newer than {VERSION}, "
                    "the newest this tidegate reads: upgrade tidegate"
                )
            return cls(
                baseline_rows=int(document["baseline"]["rows"]),
                windows=tuple(_window(window) for window in document["windows"]),
                reference=_reference(document.get("reference")),
                sliding=_view(document.get("sliding")),
                decayed=_view(document.get("decayed")),
                late_rows=int(document.get("late_rows", 0)),
                alarms=read_alarms(document["alarms"]) if document.get("alarms") else None,
                segment=_segment(document.get("segment")),
                segments=_segments(document.get("segments")),
                mistyped=tuple(Mistyped(**found) for found in document.get("mistyped", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"not a drift report: {error!r}") from error

    def history(self, name: str, role: Role | None = None) -> Iterator[DriftColumn]:
        """One column through the windows; raises `LookupError` for an unknown one."""
        return (window.column(name, role) for window in self.windows)

    def columns(self) -> list[tuple[str, Role]]:
        """Names and roles: predictions first, then features, each the most drifted first."""
        worst: dict[tuple[str, Role], float] = {}
        for window in self.windows:
            for column in window.columns:
                key = (column.name, column.role)
                worst[key] = max(worst.get(key, 0.0), column.psi or 0.0)
        return sorted(worst, key=lambda key: (key[1] != "prediction", -worst[key], key[0]))

    def to_table(
        self, figure: Literal["psi", "js"] = "psi", *, limit: int = 12
    ) -> tuple[list[str], list[list[str]]]:
        """The newest windows side by side, for a terminal.

        Args:
            figure: which distance to show.
            limit: most windows; older ones are left out.

        Returns:
            The header and one row a column, as text; `·` stands where there is no figure.
        """
        windows = [window for window in self.windows if window.rows][-limit:]
        header = ["column", *(window.name for window in windows)]
        rows = [["rows", *(f"{window.rows:,}" for window in windows)]]
        for name, role in self.columns():
            found = (getattr(window.column(name, role), figure) for window in windows)
            values = ["·" if value is None else f"{value:.3f}" for value in found]
            rows.append([f"{name} (prediction)" if role == "prediction" else name, *values])
        return header, rows

    def to_records(self) -> list[dict[str, object]]:
        """One flat record a window and column, for a data frame."""
        return [
            {
                "window": window.name,
                "start": window.start,
                "end": window.end,
                "rows": window.rows,
                "closed": window.closed,
                "column": column.name,
                "role": column.role,
                "kind": column.kind,
                "psi": column.psi,
                "psi_noise": column.psi_noise,
                "js": column.js,
                "js_noise": column.js_noise,
                "tv": column.tv,
                "tv_noise": column.tv_noise,
                "ks": column.ks,
                "ks_noise": column.ks_noise,
                "level": column.level,
                "missing": column.missing.live,
                "out_of_range": column.out_of_range.live if column.out_of_range else None,
                "unseen": column.unseen.live if column.unseen else None,
                "mean": column.moments.live.mean if column.moments else None,
            }
            for window in self.windows
            for column in window.columns
        ]


def _reference(document: Mapping[str, Any] | None) -> str:
    if document is None or document["kind"] == "baseline":
        return "baseline"
    return f"{document['kind']}:{document['windows']}"


def _segment(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else f"{document['column']}={document['value']}"


def _segments(document: Mapping[str, Any] | None) -> Segments | None:
    if document is None:
        return None
    return Segments(
        column=document["column"],
        like_with_like=document["like_with_like"],
        values=tuple(
            Segment(
                value=found["value"],
                rows=found["rows"],
                columns=tuple(SegmentColumn(**column) for column in found["columns"]),
            )
            for found in document["values"]
        ),
    )


def _view(document: Mapping[str, Any] | None) -> DriftWindow | None:
    return None if document is None else _window(document)


def _window(document: Mapping[str, Any]) -> DriftWindow:
    return DriftWindow(
        start=float(document["start"]),
        end=float(document["end"]),
        rows=int(document["rows"]),
        label=document["label"],
        closed=bool(document["closed"]),
        columns=tuple(_column(column) for column in document["columns"]),
    )


def _column(document: Mapping[str, Any]) -> DriftColumn:
    moments = document["moments"]
    return DriftColumn(
        name=document["name"],
        role=document["role"],
        kind=document["kind"],
        dtype=document["dtype"],
        psi=document["psi"],
        psi_noise=document["psi_noise"],
        js=document["js"],
        js_noise=document.get("js_noise"),
        tv=document.get("tv"),
        tv_noise=document.get("tv_noise"),
        ks=document.get("ks"),
        ks_noise=document.get("ks_noise"),
        missing=Compared(**document["missing"]),
        out_of_range=_shares(document["out_of_range"]),
        unseen=_shares(document["unseen"]),
        moments=moments and Compared(Figures(**moments["baseline"]), Figures(**moments["live"])),
        cells=tuple(Cell(**cell) for cell in document["cells"]),
    )


def _shares(document: Mapping[str, float] | None) -> Compared[float] | None:
    return None if document is None else Compared(document["baseline"], document["live"])
