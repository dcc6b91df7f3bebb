"""Counts between fixed edges."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.sketch.summary import Numbers, Summary, floats

__all__ = ["Histogram"]


class Histogram(Summary):
    """Counts of values between fixed edges, and of those below, above and missing.

    Bins are those of `numpy.histogram`: closed on the left, open on the right, the last closed on
    both sides. −∞ counts as below, +∞ as above, NaN as missing. Merging is exact.

    Args:
        edges: at least two finite numbers in rising order; only the last two may be equal, which
            makes a bin of one value.
        values: numbers to begin with, of any shape.

    Raises:
        InputError: the edges do not rise, or the values are no numbers.

    Example:
        >>> import numpy as np
        >>> histogram = Histogram([0, 1, 2], [0.5, 1.0, 2.0, 7.0, np.nan])
        >>> histogram.counts, histogram.above, histogram.missing
        (array([1, 2]), 1, 1)

    Source:
        `numpy.histogram`.
    """

    _native: _core.Histogram

    def __init__(self, edges: npt.ArrayLike, values: Numbers | None = None) -> None:
        self._native = _core.Histogram(floats(edges).tolist())
        if values is not None:
            self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        native = _core.Histogram.from_json(text)
        histogram = cls(native.edges)
        histogram._native = native
        return histogram

    def update(self, values: Numbers) -> None:
        """Takes in numbers of any shape; raises `InputError` for anything else."""
        self._native.update(floats(values))

    def merge(self, other: Histogram) -> None:
        """Adds the counts of another; raises `InputError` when its edges differ."""
        self._native.merge(other._native)

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """The edges of the bins."""
        return np.array(self._native.edges, dtype=np.float64)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The counts of the bins; one fewer than edges."""
        return np.array(self._native.counts, dtype=np.int64)

    @property
    def below(self) -> int:
        """Values below the first edge."""
        return self._native.below

    @property
    def above(self) -> int:
        """Values above the last edge."""
        return self._native.above

    @property
    def missing(self) -> int:
        """NaN values."""
        return self._native.missing

    def __repr__(self) -> str:
        return f"Histogram(bins={len(self.counts)}, count={int(self.counts.sum())})"
