"""Validation of data that comes in pieces: larger than memory, or on several machines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidegate.errors import InputError
from tidegate.validation.report import ValidationReport

if TYPE_CHECKING:
    from tidegate import _core
    from tidegate.types import ArrowTable

__all__ = ["Validation"]


class Validation:
    """One pass of rules over pieces of data: update, merge, finish. Made by `Rules.start`.

    The report of the pieces is that of the whole. The first piece says which columns there are.

    >>> import pyarrow as pa
    >>> from tidegate.validation import Rules, unique
    >>> validation = Rules(unique("x")).start()
    >>> for piece in (pa.table({"x": [1, 2]}), pa.table({"x": [2, 3]})):
    ...     validation.update(piece)
    >>> print(validation.finish())
    failed: 1 rule on 4 rows: unique(x) (1 row)
    """

    __slots__ = ("_native",)

    def __init__(self, native: _core.Validation) -> None:
        self._native = native

    @property
    def rows(self) -> int:
        """How many rows were seen."""
        return self._native.rows

    def update(self, table: ArrowTable) -> None:
        """Looks at the next piece.

        Raises:
            InputError: as for `Rules.validate`, or the piece has other columns than the first.
        """
        self._native.update(table)

    def split(self, table: ArrowTable) -> tuple[ArrowTable, ArrowTable]:
        """Looks at the next piece, and takes its good rows and its bad ones apart.

        Returns:
            The rows that keep every rule of severity `"error"` about rows, and those that break
            one, which carry the columns `_broken_rules` (names, separated by `; `) and `_row` (the
            number in the data). Of rules about the whole table those break a least or a greatest
            value that lie beyond its bound; no other takes a row out.
        """
        return self._native.split(table)

    def fork(self) -> Validation:
        """An empty validation of the same rules and columns, for another part of the data."""
        return Validation(self._native.fork())

    def merge(self, other: Validation) -> None:
        """Takes in what a fork has seen in the rows after these; the fork is of no further use.

        Rows that break a rule together with a row of another part are counted, but not shown.
        """
        self._native.merge(other._native)

    def finish(self, *, now: float | None = None) -> ValidationReport:
        """Ends the pass.

        Args:
            now: seconds since 1970, for rules about age; the clock's by default.

        Raises:
            InputError: there was no piece, not even an empty one.
        """
        text = self._native.finish(time.time() if now is None else now)
        if text is None:
            raise InputError("a validation that has seen no table: give it one, even an empty one")
        return ValidationReport.from_json(text)
