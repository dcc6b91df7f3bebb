"""What all summaries have in common: JSON, pickling, and how numbers come in."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from tidegate.errors import InputError

__all__ = ["Summary", "floats"]


class Native(Protocol):
    """The native half of a summary."""

    def to_json(self) -> str:
        """Canonical, versioned JSON."""
        ...


class Summary:
    """The base of the summaries: each wraps its native half."""

    _native: Native

    def to_json(self) -> str:
        """The state as canonical, versioned JSON; `from_json` of the class reads it."""
        return self._native.to_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote, of this or any earlier version.

        Raises:
            StateError: the text is damaged, or of a newer version.
        """
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).from_json, (self.to_json(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # summaries change


def floats(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Numbers as a contiguous float64 array of one dimension; a copy only where one is needed.

    Raises:
        InputError: the values are no numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"values of dtype {array.dtype} where numbers are due: convert them to float64"
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
