"""Rules proposed from data, to be reviewed as a small diff before anybody relies on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.features import Schema
from tidegate.validation.rules import Rules

if TYPE_CHECKING:
    from tidegate.types import ArrowTable

__all__ = ["infer"]


def infer(table: ArrowTable) -> Rules:
    """The rules of a table's schema with its constraints: `Schema.infer(table, constraints=True)`.

    Names do not depend on parameters, so that proposals of two tables can be compared with
    `Rules.diff`.

    Args:
        table: any Arrow table.

    Raises:
        InputError: the table has no rows, or a column of a type that no rule takes.
        MissingDependencyError: pyarrow is not installed.

    >>> import pyarrow as pa
    >>> table = pa.table({"month": [1, 2, 3, 12] * 50, "origin": ["EWR", "JFK"] * 100})
    >>> proposal = infer(table)
    >>> proposal.names
    ['month range', 'origin values']
    >>> print(Rules().diff(proposal))
    + schema: 2 columns
    + month range: ((col("month") >= 1) & (col("month") <= 12))
    + origin values: col("origin").is_in(values=["EWR","JFK"])
    """
    return Rules(schema=Schema.infer(table, constraints=True))
