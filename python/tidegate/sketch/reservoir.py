"""A uniform sample of the rows of a stream."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.sketch.summary import Numbers, Summary, matrix

__all__ = ["Reservoir"]


class Reservoir(Summary):
    """A uniform sample without replacement of at most `capacity` rows.

    Samples of several streams merge into a sample of all of them, each stream taking part by its number of
    rows. Rows are kept as they are, NaN and infinite values with them.

    Args:
        capacity: rows that are kept.
        width: numbers of a row; with 1 the rows are single values.
        seed: where the draws begin. Give samples that will be merged seeds of their own.

    Raises:
        InputError: a size out of range (`capacity * width` at most a million).

    Example:
        >>> import numpy as np
        >>> left, right = Reservoir(100, seed=1), Reservoir(100, seed=2)
        >>> left.update(np.zeros(3000))
        >>> right.update(np.ones(1000))
        >>> left.merge(right)
        >>> left.count, left.rows.shape, bool(10 <= left.rows.sum() <= 40)
        (4000, (100, 1), True)

    Source:
        Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", 1994 (algorithm L),
        after Vitter 1985.
    """

    _native: _core.Reservoir

    def __init__(self, capacity: int, width: int = 1, *, seed: int = 0) -> None:
        self._native = _core.Reservoir(capacity, width, seed)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        reservoir = cls.__new__(cls)
        reservoir._native = _core.Reservoir.from_json(text)
        return reservoir

    def update(self, rows: Numbers) -> None:
        """Takes in rows, or single values where the width is 1; raises `InputError` otherwise."""
        self._native.update(matrix(rows))

    def merge(self, other: Reservoir) -> None:
        """Takes in the sample of another stream; raises `InputError` when its size differs."""
        self._native.merge(other._native)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """The sampled rows; any beginning of them is itself a uniform sample."""
        return self._native.rows().reshape(-1, self.width)

    @property
    def count(self) -> int:
        """Rows seen."""
        return self._native.count

    @property
    def capacity(self) -> int:
        """Most rows of the sample."""
        return self._native.capacity

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self._native.width

    def __repr__(self) -> str:
        return f"Reservoir(capacity={self.capacity}, width={self.width}, count={self.count})"
