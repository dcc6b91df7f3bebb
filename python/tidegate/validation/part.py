"""The contract of a part of a source: a name, a digest, and rows piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.types import ArrowTable

__all__ = ["BATCH_ROWS", "Part"]

BATCH_ROWS: Final = 131_072
"""Rows of a piece, where the format lets us choose."""


class Part(ABC):
    """One file of a source, or one query.

    Attributes:
        name: what it is called within its source.
    """

    name: str

    @abstractmethod
    def digest(self) -> str:
        """The hexadecimal sha256 of what it is read from."""

    @abstractmethod
    def batches(self) -> Iterator[ArrowTable]:
        """Its rows, piece by piece, at least one piece. Each piece is a table of the same columns."""
