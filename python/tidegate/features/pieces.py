"""Data in pieces: tables that are one, with or without a target beside each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate import _core
from tidegate.errors import InputError
from tidegate.features.progress import Told
from tidegate.features.target import target_kind, target_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.features.progress import Progress

__all__ = ["fit_pieces", "tables"]


def pairs(data: object) -> Iterator[tuple[Any, object]]:
    """The tables of one reading, each with the target beside it or `None`.

    Args:
        data: tables or pairs `(table, y)`, or a function that begins to yield them anew.

    Raises:
        InputError: some tables have a target beside them and others have none.
    """
    source: Any = data() if callable(data) else data
    beside: bool | None = None
    for piece in source:
        table, y = piece if isinstance(piece, tuple) and len(piece) == 2 else (piece, None)
        if beside is not None and beside != (y is not None):
            raise InputError(
                "some tables have a y beside them and others have none: give each a pair (table, y)"
            )
        beside = y is not None
        yield table, y


def tables(data: object) -> Iterator[Any]:
    """The tables of one reading, without targets."""
    for table, _ in pairs(data):
        yield table


def fit_pieces(
    spec: _core.FeatureSpec, data: object, progress: Progress | None = None
) -> _core.Plan:
    """Fits on tables that are one in pieces, in as many readings as it takes.

    Args:
        spec: what is to be learned.
        data: tables or pairs `(table, y)`, or a function that begins to yield them anew.
        progress: is told of the rows that were read.

    Raises:
        InputError: they are no tables, or an iterator that would have to be read again.
    """
    if not callable(data):
        if not hasattr(data, "__iter__"):
            spec.fit(data)  # Fails, and says what a table is.
        if iter(data) is data and spec.passes > 1:  # type: ignore[call-overload]
            raise InputError(
                f"these features read the data {spec.passes} times and an iterator can be read "
                "once: pass a list of tables, or a function that returns a new iterator"
            )
    step: _core.Fitter | _core.Plan | None = None
    told = None if progress is None else Told(progress)
    while not isinstance(step, _core.Plan):
        for table, y in pairs(data):
            values = None if y is None or not spec.supervised else target_values(y)
            if step is None:
                step = _core.Fitter(spec, target_kind(values))
            step.update(table, values, told)
            if told is not None:
                told.end_piece()
        step = (step or _core.Fitter(spec)).finish()
    return step
