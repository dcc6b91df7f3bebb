"""What all summaries have in common: JSON, pickling, and how numbers and texts come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.errors import InputError
from tidegate.types import ArrowChunk, ArrowTable

__all__ = ["Numbers", "Summary", "TextValues", "floats", "is_numbers", "matrix", "texts"]

Numbers: TypeAlias = "npt.ArrayLike | ArrowChunk | ArrowTable"
"""Numbers: anything that NumPy takes, or an Arrow array or column (nulls are missing)."""

TextValues: TypeAlias = "Iterable[str | None] | ArrowChunk | ArrowTable"
"""Texts: any iterable, a NumPy array of texts among them, or an Arrow array or column."""


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


def floats(values: Numbers) -> npt.NDArray[np.float64]:
    """Numbers as a contiguous float64 array of one dimension; a copy only where one is needed.

    Raises:
        InputError: the values are no numbers.
    """
    if not isinstance(values, np.ndarray):
        arrow = _core.arrow_numbers(values)
        if arrow is not None:
            return arrow
    return np.ascontiguousarray(_numeric(values), dtype=np.float64).reshape(-1)


def matrix(rows: Numbers) -> npt.NDArray[np.float64]:
    """Numbers as a contiguous float64 array of rows; single values are rows of one number.

    Raises:
        InputError: the values are no numbers, or have more than two dimensions.
    """
    if not isinstance(rows, np.ndarray):
        arrow = _core.arrow_numbers(rows)
        if arrow is not None:
            return arrow.reshape(-1, 1)
    array = np.ascontiguousarray(_numeric(rows), dtype=np.float64)
    if array.ndim > 2:
        raise InputError(f"an array of {array.ndim} dimensions where rows are due: reshape it")
    return array if array.ndim == 2 else array.reshape(-1, 1)


def _numeric(values: Numbers) -> npt.NDArray[Any]:
    array = np.asarray(cast("npt.ArrayLike", values))
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"values of dtype {array.dtype} where numbers are due: convert them to float64"
        )
    return array


def is_numbers(values: Numbers | TextValues) -> bool:
    """Are these numbers, and not texts? Of lists the first value that is there decides."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "biuf"
    kind = getattr(values, "type", None) or getattr(values, "dtype", None)
    if kind is not None:
        return not any(word in str(kind).lower() for word in ("str", "utf8", "object", "cat"))
    if isinstance(values, list | tuple):
        return not any(isinstance(value, str) for value in values)
    return not isinstance(values, Iterable)


def texts(values: TextValues) -> object:
    """Texts as the extension takes them: an Arrow array as it is, all else as a list.

    Raises:
        InputError: one text where several are due, or a value that is no text.
    """
    if isinstance(values, str):
        raise InputError("one text where several are due: pass a list of texts")
    if not isinstance(values, np.ndarray) and isinstance(values, ArrowChunk | ArrowTable):
        return values
    listed = values.reshape(-1).tolist() if isinstance(values, np.ndarray) else list(values)
    for value in listed:
        if value is not None and not isinstance(value, str):
            raise InputError(f"{value!r} where a text is due: convert it with str")
    return listed
