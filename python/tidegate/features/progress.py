"""How far long work is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "Told"]

Progress: TypeAlias = Callable[[int, int | None], object]
"""Is called with the rows that are done and those of all the work, `None` if that is not known."""


class Told:
    """Tells of one piece after the other as of one whole.

    Args:
        progress: is told.

    >>> told = Told(lambda done, total: print(done, total))
    >>> told(10, None)
    10 None
    >>> told.end_piece()
    >>> told(5, None)
    15 None
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before = 0
        self._piece = 0

    def __call__(self, done: int, _total: int | None) -> None:
        """Tells the rows of the piece that are done, behind those of the pieces before it."""
        self._piece = done
        self._progress(self._before + done, None)

    def end_piece(self) -> None:
        """Says that what is told from now on is of the next piece."""
        self._before += self._piece
        self._piece = 0
