"""Exact counts of texts, up to a bound."""

from __future__ import annotations

from typing import Self

from tidegate import _core
from tidegate.sketch.summary import Summary, TextValues, texts

__all__ = ["Frequencies"]


class Frequencies(Summary):
    """How often each text was seen.

    Counts are exact and do not depend on order as long as no more than `limit` texts are distinct.
    A new text beyond that is an error, or with `gather` counts as `other`.

    Args:
        values: texts to begin with: a list, a NumPy or Arrow array; `None` and nulls are missing.
        limit: most distinct texts; 100,000, which is also the most.
        gather: count texts beyond the limit together instead of raising an error.

    Raises:
        TooLargeError: too many distinct texts, without `gather`.

    Example:
        >>> carriers = Frequencies(["UA", "AA", "UA", None, "B6"])
        >>> carriers.sorted()
        [('UA', 2), ('AA', 1), ('B6', 1)]
        >>> carriers["UA"], carriers.missing
        (2, 1)

    Source:
        Plain counting; the bound is there so that a column of keys cannot fill the memory.
    """

    _native: _core.Frequencies

    def __init__(
        self,
        values: TextValues = (),
        *,
        limit: int | None = None,
        gather: bool = False,
    ) -> None:
        self._native = _core.Frequencies(limit, gather)
        self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        frequencies = cls()
        frequencies._native = _core.Frequencies.from_json(text)
        return frequencies

    def update(self, values: TextValues) -> None:
        """Counts texts; `None` is missing. Raises `TooLargeError` beyond the limit."""
        self._native.update(texts(values))

    def merge(self, other: Frequencies) -> None:
        """Takes in all that another has seen; raises `TooLargeError` beyond the limit."""
        self._native.merge(other._native)

    def sorted(self) -> list[tuple[str, int]]:
        """Texts and counts, the most frequent first, equal counts in order of the text."""
        return self._native.sorted()

    def __getitem__(self, text: str) -> int:
        """How often a text was seen: 0 for one that was not."""
        return self._native.get(text)

    def __len__(self) -> int:
        """Distinct texts that are counted one by one."""
        return self._native.distinct

    @property
    def count(self) -> int:
        """All texts seen, without the missing."""
        return self._native.count

    @property
    def missing(self) -> int:
        """How often `None` was seen."""
        return self._native.missing

    @property
    def other(self) -> int:
        """Sightings of texts that came after the limit was reached."""
        return self._native.other

    def __repr__(self) -> str:
        return f"Frequencies(count={self.count}, missing={self.missing}, distinct={len(self)})"
