"""Numbers brought to a scale, and held within bounds."""

from __future__ import annotations

from typing import Self

from tidegate.features.tree import Tree

__all__ = ["Scaling"]


class Scaling(Tree):
    """Methods that change the scale of a number."""

    __slots__ = ()

    def standardize(self) -> Self:
        """Mean 0 and standard deviation 1 over what `fit` sees (`StandardScaler`)."""
        return self._apply("standardize")

    def min_max(self) -> Self:
        """The range that `fit` sees mapped to 0 to 1 (`MinMaxScaler`)."""
        return self._apply("min_max")

    def log1p(self) -> Self:
        """The natural logarithm of one plus the value; missing for -1 and below."""
        return self._apply("log1p")

    def clip(self, low: float | None = None, high: float | None = None) -> Self:
        """The value held between bounds, of which one may be left out."""
        return self._apply("clip", low=low, high=high)
