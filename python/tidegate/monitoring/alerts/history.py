"""The recent past of every series, bounded: what rules and incidents look back at."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from tidegate.monitoring.exposition import Labels, Sample

__all__ = ["FINE_SECONDS", "MOST_SECONDS", "MOST_SERIES", "History", "kept"]

FINE_SECONDS: Final = 900.0
"""How long every point is kept; of older ones one a minute is."""

COARSE_SECONDS: Final = 60.0
"""The distance of older points."""

MOST_SECONDS: Final = 7 * 86_400.0
"""The longest that anything is kept."""

MOST_SERIES: Final = 20_000
"""Most series; what is new beyond is not kept, and `History.left_out` counts it."""

_COUNTERS: Final = ("_total", "_sum", "_count", "_bucket")
_BUCKETS: Final = "tidegate_stage_seconds_bucket"


def kept(sample: Sample) -> bool:
    """Whether a sample of the page of metrics is kept: what signals are made of.

    Of the buckets only those of whole requests are; they are most of the page.
    """
    if sample.name.startswith(("tidegate_batch_", "tidegate_http_", "tidegate_grpc_")):
        return False
    return sample.name != _BUCKETS or ("stage", "total") in sample.labels


class _Series:
    """Points of one series, oldest first; older ones are thinned."""

    __slots__ = ("fine", "old")

    def __init__(self) -> None:
        self.fine: deque[tuple[float, float]] = deque()
        self.old: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float, horizon: float) -> None:
        self.fine.append((now, value))
        while self.fine and now - self.fine[0][0] > FINE_SECONDS:
            point = self.fine.popleft()
            if not self.old or point[0] - self.old[-1][0] >= COARSE_SECONDS:
                self.old.append(point)
        while self.old and now - self.old[0][0] > horizon:
            self.old.popleft()

    def points(self) -> list[tuple[float, float]]:
        return [*self.old, *self.fine]


class History:
    """Series by name and labels, as they were at each look.

    Args:
        horizon: Seconds that are kept; at most `MOST_SECONDS`.

    Example:
        >>> history = History(600.0)
        >>> for now, total in ((0.0, 10.0), (60.0, 40.0)):
        ...     history.take(now, [Sample("tidegate_rows_total", (("model", "m"),), total)])
        >>> history.increase("tidegate_rows_total", 60.0, 60.0)
        {(('model', 'm'),): (30.0, 60.0)}
    """

    def __init__(self, horizon: float) -> None:
        self._horizon = min(horizon, MOST_SECONDS)
        self._series: dict[str, dict[Labels, _Series]] = {}
        self._latest: dict[str, dict[Labels, float]] = {}
        self._looks: deque[float] = deque(maxlen=2)
        self._count = 0
        self.left_out = 0

    def take(self, now: float, samples: Iterable[Sample]) -> None:
        """Takes what is seen at one look; times never go back.

        Args:
            now: Seconds.
            samples: All series that there are; those that are absent count as gone.
        """
        before = self._looks[-1] if self._looks else None
        self._latest = {}
        for sample in samples:
            if sample.value != sample.value:
                continue
            self._latest.setdefault(sample.name, {})[sample.labels] = sample.value
            family = self._series.setdefault(sample.name, {})
            series = family.get(sample.labels)
            if series is None:
                if self._count >= MOST_SERIES:
                    self.left_out += 1
                    continue
                series = family[sample.labels] = _Series()
                self._count += 1
                if before is not None and sample.name.endswith(_COUNTERS):
                    # A counter that was not there at the last look was nothing then.
                    series.add(before, 0.0, self._horizon)
            series.add(now, sample.value, self._horizon)
        self._looks.append(now)
        self._forget(now)

    def _forget(self, now: float) -> None:
        for name, family in list(self._series.items()):
            gone = [
                labels
                for labels, series in family.items()
                if now - series.fine[-1][0] > min(self._horizon, FINE_SECONDS)
            ]
            for labels in gone:
                del family[labels]
                self._count -= 1
            if not family:
                del self._series[name]

    def latest(self, name: str) -> Mapping[Labels, float]:
        """The values of one name at the last look."""
        return self._latest.get(name, {})

    def points(self, name: str, labels: Labels) -> list[tuple[float, float]]:
        """Times and values of one series, oldest first."""
        series = self._series.get(name, {}).get(labels)
        return [] if series is None else series.points()

    def series(self, name: str) -> Iterator[Labels]:
        """The labels of every series of a name."""
        return iter(list(self._series.get(name, {})))

    def increase(self, name: str, over: float, now: float) -> dict[Labels, tuple[float, float]]:
        """By how much counters that are there now have grown, and within how many seconds.

        A counter that falls has begun anew. Series with a single point are left out.

        Args:
            name: Of the series.
            over: Seconds to look back.
            now: The time of the last look.
        """
        found = {}
        for labels in self.latest(name):
            points = self.points(name, labels)
            grown = grown_since(points, now - over)
            if grown is not None:
                found[labels] = grown
        return found


def grown_since(points: list[tuple[float, float]], since: float) -> tuple[float, float] | None:
    """By how much a counter has grown since a time, and in how many seconds.

    Args:
        points: Times and values, oldest first.
        since: From the last point at or before this time, or else the first.
    """
    start = max(bisect_right(points, since, key=lambda point: point[0]) - 1, 0)
    window = points[start:]
    if len(window) < 2:
        return None
    grown = 0.0
    for (_, before), (_, after) in pairwise(window):
        grown += after - before if after >= before else after
    return grown, window[-1][0] - window[0][0]
