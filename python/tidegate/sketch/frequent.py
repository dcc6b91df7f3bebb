"""The most frequent texts of a stream that may hold any number of them."""

from __future__ import annotations

from typing import Self

from tidegate import _core
from tidegate.sketch.summary import Summary, TextValues, texts

__all__ = ["FrequentItems"]


class FrequentItems(Summary):
    """Frequent texts in bounded memory, with bounds on how often each was seen.

    A text seen more often than `count / (limit + 1)` times is among the items, and no count is further off
    than that, merged or not; `error` says how far at most. Up to twice the limit of distinct texts
    all counts are exact. `Frequencies` is exact, but refuses what exceeds its limit.

    Args:
        values: texts to begin with; `None` and nulls are missing.
        limit: texts that are told apart for certain; 1,024 when not given.

    Raises:
        InputError: values that are no texts, or a limit out of range.

    Example:
        >>> import numpy as np
        >>> words = [f"w{int(x)}" for x in np.random.default_rng(0).zipf(1.5, 20_000)]
        >>> items = FrequentItems(words, limit=100)
        >>> text, least, most = items.sorted()[0]
        >>> text, least <= words.count(text) <= most
        ('w1', True)

    Source:
        Misra and Gries, "Finding repeated elements", 1982; Agarwal and others, "Mergeable summaries",
        2012.
    """

    _native: _core.FrequentItems

    def __init__(self, values: TextValues = (), *, limit: int | None = None) -> None:
        self._native = _core.FrequentItems(limit)
        self.update(values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the state that `to_json` wrote; raises `StateError` when it cannot."""
        items = cls()
        items._native = _core.FrequentItems.from_json(text)
        return items

    def update(self, values: TextValues) -> None:
        """Counts texts; `None` and nulls are missing."""
        self._native.update(texts(values))

    def merge(self, other: FrequentItems) -> None:
        """Takes in all that another has seen; raises `InputError` when its limit differs."""
        self._native.merge(other._native)

    def sorted(self) -> list[tuple[str, int, int]]:
        """Texts with the least and the most that they can have been seen, the most frequent first."""
        return self._native.sorted()

    def __getitem__(self, text: str) -> tuple[int, int]:
        """The least and the most that a text can have been seen."""
        return self._native.get(text)

    def __len__(self) -> int:
        """Texts that have a counter."""
        return self._native.length

    @property
    def count(self) -> int:
        """All texts seen, without the missing."""
        return self._native.count

    @property
    def missing(self) -> int:
        """Missing values seen."""
        return self._native.missing

    @property
    def error(self) -> int:
        """How much too small a count can be."""
        return self._native.error

    def __repr__(self) -> str:
        return f"FrequentItems(count={self.count}, missing={self.missing}, error={self.error})"
