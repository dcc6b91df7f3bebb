"""Rules proposed from data, to be reviewed as a small diff before anybody relies on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tidegate.errors import InputError, MissingDependencyError
from tidegate.features import Schema
from tidegate.validation.checks import in_range, length, monotone, not_null, one_of, unique
from tidegate.validation.rules import Rules

if TYPE_CHECKING:
    from tidegate.types import ArrowTable
    from tidegate.validation.rule import Rule

__all__ = ["infer"]

MOST_VALUES: Final = 50
"""A column of more different texts is no column of categories."""
ROWS_PER_VALUE: Final = 10
"""A category is seen so often on average, or the column is none."""
FEWEST_ROWS: Final = 100
"""Fewer rows say nothing about keys, order and bounds."""
ROOM: Final = 1.5
"""A share of missing values may grow so much."""


def infer(table: ArrowTable) -> Rules:
    """Proposes a schema and rules that a table keeps.

    Bounds of numbers are rounded outwards to two digits, so that the next table has room; categories
    are those that are there; a share of missing values may grow by half. Rules get names that do
    not depend on their parameters, so that proposals of two tables can be compared with
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
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependencyError(
            "proposing rules takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    data = pa.table(table)
    if not data.num_rows:
        raise InputError("a table without rows proposes nothing: give one with rows")
    schema = Schema.infer(data)
    rules: list[Rule] = []
    for field in schema:
        column = data.column(field.name)
        rules += _missing(field.name, column)
        if field.dtype == "string":
            rules += _texts(field.name, column)
        elif field.dtype in ("int64", "float64"):
            rules += _numbers(field.name, column, whole=field.dtype == "int64")
        elif field.dtype == "timestamp":
            rules += _times(field.name, data)
    return Rules(*rules, schema=schema)


def _missing(name: str, column: Any) -> list[Rule]:
    share = column.null_count / len(column)
    if share == 0 or len(column) < FEWEST_ROWS:
        return []
    # Binary fractions must not make of 15 % a little more.
    allowed = min(1.0, math.ceil(round(share * ROOM * 1000, 6)) / 1000)
    return [] if allowed >= 1 else [not_null(name, name=f"{name} missing", allow=allowed)]


def _texts(name: str, column: Any) -> list[Rule]:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.drop_null(pc.cast(column, pa.string()))
    values = sorted(pc.unique(texts).to_pylist())
    if not values:
        return []
    if len(values) <= MOST_VALUES and len(texts) >= ROWS_PER_VALUE * len(values):
        return [one_of(name, values, name=f"{name} values")]
    if len(texts) < FEWEST_ROWS:
        return []
    rules = []
    if len(values) == len(column):
        rules.append(unique(name, name=f"{name} unique"))
    bounds = pc.min_max(pc.utf8_length(texts)).as_py()
    rules.append(length(name, bounds["min"], bounds["max"], name=f"{name} length"))
    return rules


def _numbers(name: str, column: Any, *, whole: bool) -> list[Rule]:
    import pyarrow.compute as pc

    if len(column) < FEWEST_ROWS:
        return []
    numbers = pc.drop_null(column)
    if not whole:
        numbers = numbers.filter(pc.is_finite(numbers))
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is None:
        return []
    distinct = pc.count_distinct(numbers).as_py()
    rules = []
    if whole and distinct == len(column):
        rules.append(unique(name, name=f"{name} unique"))
    low, high = bounds["min"], bounds["max"]
    if not (whole and distinct <= MOST_VALUES):
        low, high = _outwards(low, -1), _outwards(high, 1)
    if whole:
        low, high = int(low), int(high)
    rules.append(in_range(name, low, high, name=f"{name} range"))
    return rules


def _outwards(value: float, way: int) -> float:
    """A number rounded to two digits, away from the middle."""
    if value == 0:
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = (math.ceil if way > 0 else math.floor)(value / step) * step
    # Steps below 1 leave traces of binary fractions.
    return float(f"{rounded:.6g}")


def _times(name: str, data: Any) -> list[Rule]:
    if data.num_rows < FEWEST_ROWS:
        return []
    rule = monotone(name, name=f"{name} order")
    return [rule] if Rules(rule).validate(data.select([name])) else []
