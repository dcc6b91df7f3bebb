"""Order statistics of streams of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, overload

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.sketch.summary import Numbers, Summary, floats

__all__ = ["Quantiles"]


class Quantiles(Summary):
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

    def update(self, values: Numbers) -> None:
        """Takes in numbers of any shape; raises `InputError` for anything else."""
        self._native.update(floats(values))

    def merge(self, other: Quantiles) -> None:
        """Takes in all that another has seen."""
        self._native.merge(other._native)

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Sequence[float]) -> npt.NDArray[np.float64]: ...
    def quantile(self, q: float | Sequence[float]) -> float | npt.NDArray[np.float64]:
        """The value below which a share `q` of the values lies, or one for each of several shares.

        Args:
            q: shares within 0 and 1; several cost one sort together.

        Returns:
            The quantiles; NaN without values.

        Raises:
            InputError: a share is outside 0 to 1.
        """
        one = isinstance(q, int | float)
        shares = [float(q)] if isinstance(q, int | float) else [float(share) for share in q]
        found = self._native.quantiles(shares)
        values = np.array([np.nan] * len(shares) if found is None else found)
        return float(values[0]) if one else values

    @property
    def count(self) -> int:
        """Finite values seen."""
        return self._native.count

    @property
    def missing(self) -> int:
        """NaN values seen."""
        return self._native.missing

    @property
    def infinite(self) -> tuple[int, int]:
        """How often −∞ and how often +∞ was seen."""
        return self._native.infinite

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
