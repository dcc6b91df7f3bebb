"""How columns vary together."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.sketch.summary import Numbers, Summary, matrix

__all__ = ["Covariance"]


class Covariance(Summary):
    """Means and covariances of every pair of some columns.

    A row in which any value is missing, infinite or beyond 1e140 enters no figure and counts as
    `incomplete`. Merging agrees with one pass over all rows within 1e-12 of the standard deviations, in
    any order.

    Args:
        columns: how many columns there are, 1 to 256.

    Raises:
        InputError: a number of columns out of range.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).multivariate_normal([0, 5], [[2, 1], [1, 3]], 5000)
        >>> covariance = Covariance(2)
        >>> covariance.update(rows)
        >>> bool(np.allclose(covariance.matrix(ddof=1), np.cov(rows.T), rtol=1e-12))
        True

    Source:
        Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances", 1979, for pairs.
    """

    _native: _core.Covariance

    def __init__(self, columns: int) -> None:
        self._native = _core.Covariance(columns)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        covariance = cls.__new__(cls)
        covariance._native = _core.Covariance.from_json(text)
        return covariance

    def update(self, rows: Numbers) -> None:
        """Takes in rows of numbers; raises `InputError` when they are not as wide as agreed."""
        self._native.update(matrix(rows))

    def merge(self, other: Covariance) -> None:
        """Takes in all that another has seen; raises `InputError` when its columns differ."""
        self._native.merge(other._native)

    def matrix(self, ddof: int = 0) -> npt.NDArray[np.float64]:
        """The covariance matrix with `count - ddof` in the denominator; NaN without as many rows."""
        return self._square(self._native.matrix(ddof))

    def correlation(self) -> npt.NDArray[np.float64]:
        """The correlation matrix; NaN where a column is constant."""
        return self._square(self._native.correlation())

    def _square(self, found: list[float] | None) -> npt.NDArray[np.float64]:
        shape = (self.columns, self.columns)
        return np.full(shape, np.nan) if found is None else np.array(found).reshape(shape)

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """The means of the columns; NaN without complete rows."""
        found = self._native.means()
        return np.full(self.columns, np.nan) if found is None else np.array(found)

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return self._native.columns

    @property
    def count(self) -> int:
        """Complete rows seen."""
        return self._native.count

    @property
    def incomplete(self) -> int:
        """Rows seen with a missing or infinite value."""
        return self._native.incomplete

    def __repr__(self) -> str:
        return (
            f"Covariance(columns={self.columns}, count={self.count}, incomplete={self.incomplete})"
        )
