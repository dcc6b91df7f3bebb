"""Quantiles whose values, not ranks, are off by a bounded share: for latencies."""

from __future__ import annotations

from typing import Self

from tidegate import _core
from tidegate.sketch.quantile_summary import QuantileSummary
from tidegate.sketch.summary import Numbers

__all__ = ["RelativeQuantiles"]


class RelativeQuantiles(QuantileSummary):
    """Quantiles off by at most a share of their own value, whatever the distribution.

    With the usual accuracy of 0.01 a p99 of 80 ms is between 79.2 and 80.8 ms. Answers are those of
    `numpy.quantile(…, method="lower")`, within the accuracy. Merging is exact in any order. NaN counts as
    missing; infinite values are counted apart and enter no quantile.

    Args:
        values: numbers to begin with, of any shape.
        accuracy: the greatest relative error, 0.0001 to 0.5; 0.01 when not given.
        limit: cells kept on each side of zero; 2,048 when not given, enough at 1 % for numbers from
            nanoseconds to years. What is too small beside the greatest is `gathered` and loses the bound.

    Raises:
        InputError: the values are no numbers, or a parameter is out of range.

    Example:
        >>> import numpy as np
        >>> seconds = np.random.default_rng(0).lognormal(-4, 1, 10_000)
        >>> latencies = RelativeQuantiles(seconds)
        >>> p99, exact = latencies.quantile(0.99), np.quantile(seconds, 0.99, method="lower")
        >>> bool(abs(p99 / exact - 1) <= 0.01)
        True

    Source:
        Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
        relative-error guarantees", 2019.
    """

    _native: _core.RelativeQuantiles

    def __init__(
        self,
        values: Numbers | None = None,
        *,
        accuracy: float | None = None,
        limit: int | None = None,
    ) -> None:
        self._native = _core.RelativeQuantiles(accuracy, limit)
        if values is not None:
            self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        quantiles = cls()
        quantiles._native = _core.RelativeQuantiles.from_json(text)
        return quantiles

    def merge(self, other: RelativeQuantiles) -> None:
        """Takes in all that another has seen; raises `InputError` when it is not of the same make."""
        self._native.merge(other._native)

    @property
    def accuracy(self) -> float:
        """The bound on the relative error."""
        return self._native.accuracy

    @property
    def gathered(self) -> int:
        """Values too small beside the greatest to keep the bound."""
        return self._native.gathered

    def __repr__(self) -> str:
        return f"RelativeQuantiles(count={self.count}, missing={self.missing}, accuracy={self.accuracy:g})"
