"""Time that never goes back, whatever the system's clock does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Clock"]

LOG: Final = logging.getLogger("tidegate.alerts")

TOLERATED_SECONDS: Final = 1.0
"""Corrections of the system's clock that are not worth a word."""


class Clock:
    """The system's clock, except that it goes on at its pace where that one is set back.

    Args:
        wall: The system's clock.
        steady: A clock that nobody sets.

    Example:
        >>> wall, steady = iter([100.0, 40.0]), iter([0.0, 5.0])
        >>> clock = Clock(lambda: next(wall), lambda: next(steady))
        >>> clock.now()
        105.0
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._time, self._at = wall(), steady()
        self._behind = False

    def at_least(self, time: float) -> None:
        """Goes on from a later time, such as the newest that is on record."""
        self._time = max(self._time, time)

    def now(self) -> float:
        """Seconds since 1970, never less than before."""
        wall, steady = self._wall(), self._steady()
        expected = self._time + max(steady - self._at, 0.0)
        behind = wall < expected - TOLERATED_SECONDS
        if behind and not self._behind:
            LOG.warning(
                "the system's clock is %.0f s behind what alerts have seen: they count on from "
                "there until it has caught up",
                expected - wall,
            )
        self._behind = behind
        self._time, self._at = max(expected, wall), steady
        return self._time
