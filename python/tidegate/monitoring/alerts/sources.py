"""Where signals come from: each source yields named series of a runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidegate.monitoring.alerts.signals import Source
from tidegate.monitoring.exposition import Sample, parse
from tidegate.monitoring.incidents.evidence import Watched

__all__ = ["Metrics", "sources_of"]


class Metrics:
    """The page of metrics.

    Args:
        watched: Whose.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def samples(self) -> Iterable[Sample]:
        """All series as they are now."""
        return parse(self._watched.metrics())


def sources_of(watched: Watched) -> Sequence[Source]:
    """Every source of a runtime."""
    return [Metrics(watched)]
