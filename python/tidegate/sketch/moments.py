"""Count, mean, variance and range in one pass."""

from __future__ import annotations

from typing import Self

from tidegate import _core
from tidegate.sketch.summary import Numbers, Summary, floats

__all__ = ["Moments"]


class Moments(Summary):
    """Count, mean, variance, least and greatest of a stream of numbers.

    NaN counts as missing. Infinite values are counted apart and enter no figure, for a single one
    would make every figure meaningless. Merging agrees with one pass over all values within 1e-12
    relative, in any order.

    Args:
        values: numbers to begin with, of any shape.

    Raises:
        InputError: the values are no numbers.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> left, right = Moments(rng.normal(10, 2, 5000)), Moments([np.nan, 12.0])
        >>> left.merge(right)
        >>> left.count, left.missing, round(left.mean, 2), round(left.std(), 2)
        (5001, 1, 9.99, 1.99)

    Source:
        Welford 1962; Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances", 1979.
    """

    _native: _core.Moments

    def __init__(self, values: Numbers | None = None) -> None:
        self._native = _core.Moments()
        if values is not None:
            self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        moments = cls()
        moments._native = _core.Moments.from_json(text)
        return moments

    def update(self, values: Numbers) -> None:
        """Takes in numbers of any shape; raises `InputError` for anything else."""
        self._native.update(floats(values))

    def merge(self, other: Moments) -> None:
        """Takes in all that another has seen."""
        self._native.merge(other._native)

    @property
    def count(self) -> int:
        """Finite values seen."""
        return self._native.count

    @property
    def missing(self) -> int:
        """NaN values seen."""
        return self._native.missing

    @property
    def infinite(self) -> int:
        """Infinite values seen."""
        return self._native.infinite

    @property
    def mean(self) -> float:
        """The mean; NaN without values."""
        return _number(self._native.mean)

    @property
    def min(self) -> float:
        """The least value; NaN without values."""
        return _number(self._native.min)

    @property
    def max(self) -> float:
        """The greatest value; NaN without values."""
        return _number(self._native.max)

    def variance(self, ddof: int = 0) -> float:
        """Squared deviations over `count - ddof`; NaN without more than `ddof` values."""
        return _number(self._native.variance(ddof))

    def std(self, ddof: int = 0) -> float:
        """The square root of the variance."""
        return _number(self._native.std(ddof))

    def __repr__(self) -> str:
        return (
            f"Moments(count={self.count}, missing={self.missing}, mean={self.mean:.6g}, "
            f"std={self.std():.6g}, min={self.min:.6g}, max={self.max:.6g})"
        )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
