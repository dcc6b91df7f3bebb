"""Suggested causes, ranked by what moved first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

__all__ = ["Cause", "Kind", "first_move", "ranked"]

Kind = Literal["change", "feature", "prediction", "stage", "traffic", "errors", "queue"]

LATE_SECONDS: Final = 30.0
"""What moved later than this after the incident began is its effect."""

DEVIATIONS: Final = 5.0
"""How far a signal must be from its own past to have moved."""

STEADY: Final = 0.1
"""The least deviation, as a share of the median."""

LEAST_POINTS: Final = 5
"""Points of the past without which nothing is said."""

ORDER: Final[dict[Kind, int]] = {
    "change": 0,
    "feature": 1,
    "traffic": 2,
    "queue": 3,
    "stage": 4,
    "errors": 5,
    "prediction": 6,
}
"""Of two that moved at the same time, what is more likely the other's cause comes first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that moved before the incident, or as it began.

    Attributes:
        at: When it moved first, seconds since 1970.
        kind: What it is.
        what: Its name.
        detail: From what to what.
    """

    at: float
    kind: Kind
    what: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """The cause as plain values."""
        return asdict(self)


def ranked(causes: Iterable[Cause], opened: float) -> list[Cause]:
    """Those that moved no later than the incident, the first mover first.

    Args:
        causes: In any order.
        opened: When the incident began.

    Example:
        >>> slow = Cause(90.0, "stage", "backend", "2 ms → 9 ms")
        >>> deploy = Cause(60.0, "change", "m", "1.0.0 → 1.1.0")
        >>> [cause.what for cause in ranked([slow, deploy], 100.0)]
        ['m', 'backend']
    """
    before = [cause for cause in causes if cause.at <= opened + LATE_SECONDS]
    return sorted(before, key=lambda cause: (cause.at, ORDER[cause.kind], cause.what))


def first_move(
    points: Sequence[tuple[float, float]], opened: float
) -> tuple[float, float, float] | None:
    """When a series left its own past for good, before an incident.

    The past is the first half of the points, at least five. Two points in a row that are far from
    its median, in deviations of its interquartile range, are a move, if the last points are far
    from it too.

    Args:
        points: Times and values, oldest first.
        opened: When the incident began; later points do not count.

    Returns:
        When, the median before, and the value at the end; nothing if it did not move.

    Example:
        >>> steady = [(float(t), 10.0) for t in range(20)]
        >>> first_move([*steady, (20.0, 50.0), (21.0, 50.0)], 21.0)
        (20.0, 10.0, 50.0)
    """
    known = [point for point in points if point[0] <= opened + LATE_SECONDS]
    if len(known) < 2 * LEAST_POINTS:
        return None
    past = sorted(value for _, value in known[: len(known) // 2])
    median = past[len(past) // 2]
    spread = past[(3 * len(past)) // 4] - past[len(past) // 4]
    deviation = max(spread / 1.349, STEADY * abs(median), 1e-9)
    far = [abs(value - median) > DEVIATIONS * deviation for _, value in known]
    if not far[-1]:
        return None
    begin = len(known) - 1
    while begin > 0 and far[begin - 1]:
        begin -= 1
    if len(known) - begin < 2:
        return None
    return known[begin][0], median, known[-1][1]
