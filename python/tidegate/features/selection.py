"""Selectors: expressions that stand for several columns of the schema.

Where features are checked each becomes one feature for every column, in the schema's order, and
below a function of any number of inputs one input for every column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.features.expression import Expr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.features.schema import DType
    from tidegate.types import Json

__all__ = [
    "booleans",
    "cols",
    "every",
    "matching",
    "numeric",
    "of_dtype",
    "others",
    "strings",
    "timestamps",
]


def _select(drop: Sequence[str], **asked: Json) -> Expr:
    rest: dict[str, Json] = {"drop": list(drop)} if drop else {}
    return Expr({"op": "select", **asked, **rest})


def cols(*names: str) -> Expr:
    """The columns of these names.

    >>> cols("air_time", "distance").log1p()
    cols("air_time", "distance").log1p()
    """
    return _select((), names=list(names))


def matching(pattern: str, *, drop: Sequence[str] = ()) -> Expr:
    """The columns whose whole name a regular expression matches.

    Args:
        pattern: as `re.fullmatch` takes it, without look-around and back-references.
        drop: columns to leave out.

    >>> matching(".*_delay").is_null()
    matching(".*_delay").is_null()
    """
    return _select(drop, pattern=pattern)


def of_dtype(*dtypes: DType, drop: Sequence[str] = ()) -> Expr:
    """The columns of some types.

    Args:
        dtypes: types of a schema.
        drop: columns to leave out.
    """
    return _select(drop, dtypes=list(dtypes))


def numeric(*, drop: Sequence[str] = ()) -> Expr:
    """The columns of numbers; bools are not among them.

    Args:
        drop: columns to leave out.

    >>> features = [numeric(drop=["year"]).fill_null("median").standardize()]
    """
    return _select(drop, dtypes=["numeric"])


def strings(*, drop: Sequence[str] = ()) -> Expr:
    """The columns of text."""
    return of_dtype("string", drop=drop)


def booleans(*, drop: Sequence[str] = ()) -> Expr:
    """The columns of bools."""
    return of_dtype("bool", drop=drop)


def timestamps(*, drop: Sequence[str] = ()) -> Expr:
    """The columns of timestamps."""
    return of_dtype("timestamp", drop=drop)


def others(*, drop: Sequence[str] = ()) -> Expr:
    """The columns that no other feature names; there may be none.

    Args:
        drop: columns to leave out.

    >>> from tidegate.features import col
    >>> features = [col("distance").log1p(), others(drop=["id"])]
    """
    return _select(drop, others=True)


def every(*, drop: Sequence[str] = ()) -> Expr:
    """All columns.

    Args:
        drop: columns to leave out.
    """
    return _select(drop)
