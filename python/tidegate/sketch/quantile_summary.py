"""What the summaries that answer quantiles have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from tidegate.sketch.summary import Numbers, Summary, floats

__all__ = ["QuantileSummary"]


class Native(Protocol):
    """The native half."""

    def to_json(self) -> str:
        """Canonical, versioned JSON."""
        ...

    def update(self, values: npt.NDArray[np.float64]) -> None:
        """Takes in numbers."""
        ...

    def quantiles(self, shares: list[float]) -> list[float] | None:
        """One value for each share; nothing without values."""
        ...

    @property
    def count(self) -> int:
        """Finite values seen."""
        ...

    @property
    def missing(self) -> int:
        """NaN values seen."""
        ...

    @property
    def infinite(self) -> tuple[int, int]:
        """How often −∞ and how often +∞ was seen."""
        ...


class QuantileSummary(Summary):
    """The base of the summaries of numbers that answer quantiles."""

    _native: Native

    def update(self, values: Numbers) -> None:
        """Takes in numbers of any shape; raises `InputError` for anything else."""
        self._native.update(floats(values))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Sequence[float]) -> npt.NDArray[np.float64]: ...
    def quantile(self, q: float | Sequence[float]) -> float | npt.NDArray[np.float64]:
        """The value below which a share `q` of the values lies, or one for each of several shares.

        Args:
            q: shares within 0 and 1; several cost one pass together.

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
