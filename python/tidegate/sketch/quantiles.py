"""Order statistics of streams of any length."""

from __future__ import annotations

from typing import Self

from tidegate import _core
from tidegate.sketch.quantile_summary import QuantileSummary
from tidegate.sketch.summary import Numbers

__all__ = ["Quantiles"]


class Quantiles(QuantileSummary):
    """Quantiles of a stream of numbers: exact at first, then with a proven bound on the rank.

    Up to `exact_limit` values all are kept, quantiles equal `numpy.quantile`, and merging is exact
    in any order. Beyond, values are thinned without drawing random numbers, so results repeat, and
    `rank_error` bounds how far the rank of any answer is off (below 0.05 % at 10⁹ values with the
    default limits). NaN counts as missing; infinite values are counted apart and enter no quantile.

    Args:
        values: numbers to begin with, of any shape.
        exact_limit: values kept as they are; a million, which is also the most.
        level_limit: values of a level once values are thinned; 32,768. The error is inverse to it.

    Raises:
        InputError: the values are no numbers, or a limit is out of range.

    Example:
        >>> import numpy as np
        >>> values = np.random.default_rng(0).exponential(size=10_000)
        >>> quantiles = Quantiles(values)
        >>> quantiles.exact, quantiles.quantile(0.5) == float(np.quantile(values, 0.5))
        (True, True)

    Source:
        Manku, Rajagopalan and Lindsay, "Approximate Medians and other Quantiles in One Pass and
        with Limited Memory", 1998; Karnin, Lang and Liberty, "Optimal Quantile Approximation in
        Streams", 2016.
    """

    _native: _core.Quantiles

    def __init__(
        self,
        values: Numbers | None = None,
        *,
        exact_limit: int | None = None,
        level_limit: int | None = None,
    ) -> None:
        self._native = _core.Quantiles(exact_limit, level_limit)
        if values is not None:
            self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        quantiles = cls()
        quantiles._native = _core.Quantiles.from_json(text)
        return quantiles

    def merge(self, other: Quantiles) -> None:
        """Takes in all that another has seen."""
        self._native.merge(other._native)

    @property
    def exact(self) -> bool:
        """Is every value kept?"""
        return self._native.exact

    @property
    def rank_error(self) -> float:
        """The most that the rank of a quantile can be off, as a share of the count."""
        return self._native.rank_error

    def __repr__(self) -> str:
        return f"Quantiles(count={self.count}, missing={self.missing}, exact={self.exact})"
