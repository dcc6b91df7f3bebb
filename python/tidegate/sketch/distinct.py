"""How many different values there were."""

from __future__ import annotations

from typing import Self, cast

import numpy as np

from tidegate import _core
from tidegate.errors import InputError
from tidegate.sketch.summary import Numbers, Summary, TextValues, floats, is_numbers, texts

__all__ = ["Distinct"]


class Distinct(Summary):
    """About how many distinct values a stream had, in 16 kB however many there were.

    The relative standard error is `standard_error` (0.8 % by default), and up to 4,096 distinct values are
    counted nearly exactly. Merging is exact in any order. NaN, `None` and nulls are missing and
    counted; the infinities are values. Equal numbers are one value whatever their type; texts
    are never numbers.

    Args:
        values: numbers or texts to begin with.
        precision: the binary logarithm of the number of registers, 4 to 18; 14 when not given.

    Raises:
        InputError: values of another kind, or a precision out of range.

    Example:
        >>> import numpy as np
        >>> users = Distinct(np.random.default_rng(0).integers(0, 100_000, 1_000_000))
        >>> bool(abs(users.estimate / 100_000 - 1) < 3 * users.standard_error)
        True
        >>> round(Distinct(["UA", "AA", "UA", None]).estimate)
        2

    Source:
        Heule, Nunkesser and Hall, "HyperLogLog in practice", 2013, with the estimator of Ertl, "New
        cardinality estimation algorithms for HyperLogLog sketches", 2017.
    """

    _native: _core.Distinct

    def __init__(
        self, values: Numbers | TextValues | None = None, *, precision: int | None = None
    ) -> None:
        if precision is not None and not 0 <= precision < 256:
            raise InputError(f"a precision of {precision}: use 4 to 18")
        self._native = _core.Distinct(precision)
        if values is not None:
            self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        distinct = cls()
        distinct._native = _core.Distinct.from_json(text)
        return distinct

    def update(self, values: Numbers | TextValues) -> None:
        """Takes in numbers of any shape, or texts; raises `InputError` for anything else."""
        if not is_numbers(values):
            self._native.update_texts(texts(cast("TextValues", values)))
            return
        whole = isinstance(values, np.ndarray) and values.dtype.kind in "iu"
        if whole and np.can_cast(np.asarray(values).dtype, np.int64):
            array = np.ascontiguousarray(values, dtype=np.int64).reshape(-1)
            self._native.update_integers(array)
        else:
            self._native.update(floats(cast("Numbers", values)))

    def merge(self, other: Distinct) -> None:
        """Takes in all that another has seen; raises `InputError` when its precision differs."""
        self._native.merge(other._native)

    @property
    def estimate(self) -> float:
        """About how many distinct values there were."""
        return self._native.estimate

    @property
    def standard_error(self) -> float:
        """The relative standard error of the estimate once values are many."""
        return self._native.standard_error

    @property
    def missing(self) -> int:
        """Missing values seen."""
        return self._native.missing

    @property
    def precision(self) -> int:
        """The binary logarithm of the number of registers."""
        return self._native.precision

    def __repr__(self) -> str:
        return f"Distinct(estimate={self.estimate:.6g}, missing={self.missing})"
