"""Constraints proposed from data, to be reviewed as a small diff before anybody relies on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tidegate.errors import InputError, MissingDependencyError
from tidegate.features.expression import Expr, col

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidegate.types import ArrowTable, Json

__all__ = ["Constraint", "proposed"]

MOST_VALUES: Final = 50
"""A column of more different texts is no column of categories."""
ROWS_PER_VALUE: Final = 10
"""A category is seen so often on average, or the column is none."""
FEWEST_ROWS: Final = 100
"""Fewer rows say nothing about keys, order and bounds."""
ROOM: Final = 1.5
"""A share of missing values may grow so much."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the values of a table keep, proposed from it.

    Attributes:
        name: of a rule; it does not depend on the parameters, so that proposals can be compared.
        check: what a rule looks at, as the JSON that is written to disk.
        columns: the columns that it looks at.
        allow: the share of rows that may break it.
    """

    name: str
    check: Mapping[str, Json]
    columns: tuple[str, ...]
    allow: float = 0.0


def proposed(table: ArrowTable, columns: Iterable[tuple[str, str]]) -> tuple[Constraint, ...]:
    """Constraints that a table keeps.

    Bounds of numbers are rounded outwards to two digits, so that the next table has room; categories
    are those that are there; a share of missing values may grow by half.

    Args:
        table: any Arrow table.
        columns: name and dtype of each of its columns.

    Raises:
        InputError: the table has no rows.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependencyError(
            "proposing constraints takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    data = pa.table(table)
    if not data.num_rows:
        raise InputError("a table without rows proposes nothing: give one with rows")
    found: list[Constraint] = []
    for name, dtype in columns:
        column = data.column(name)
        found += _missing(name, column)
        if dtype == "string":
            found += _texts(name, column)
        elif dtype in ("int64", "float64"):
            found += _numbers(name, column, whole=dtype == "int64")
        elif dtype == "timestamp":
            found += _times(name, column)
    return tuple(found)


def _holds(name: str, what: str, expression: Expr, allow: float = 0.0) -> Constraint:
    check: dict[str, Json] = {"kind": "expression", "expression": expression.to_dict()}
    return Constraint(f"{name} {what}", check, (name,), allow)


def _unique(name: str) -> Constraint:
    return Constraint(f"{name} unique", {"kind": "unique", "columns": [name]}, (name,))


def _missing(name: str, column: Any) -> list[Constraint]:
    share = column.null_count / len(column)
    if share == 0 or len(column) < FEWEST_ROWS:
        return []
    # Binary fractions must not make of 15 % a little more.
    allowed = min(1.0, math.ceil(round(share * ROOM * 1000, 6)) / 1000)
    return [] if allowed >= 1 else [_holds(name, "missing", ~col(name).is_null(), allowed)]


def _texts(name: str, column: Any) -> list[Constraint]:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.drop_null(pc.cast(column, pa.string()))
    values = sorted(pc.unique(texts).to_pylist())
    if not values:
        return []
    if len(values) <= MOST_VALUES and len(texts) >= ROWS_PER_VALUE * len(values):
        return [_holds(name, "values", col(name).is_in(values))]
    if len(texts) < FEWEST_ROWS:
        return []
    rules: list[Constraint] = []
    if len(values) == len(column):
        rules.append(_unique(name))
    bounds = pc.min_max(pc.utf8_length(texts)).as_py()
    low, high = bounds["min"], bounds["max"]
    characters = col(name).str.len_chars()
    held = characters == low if low == high else characters.between(low, high)
    rules.append(_holds(name, "length", held))
    return rules


def _numbers(name: str, column: Any, *, whole: bool) -> list[Constraint]:
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
    rules: list[Constraint] = []
    if whole and distinct == len(column):
        rules.append(_unique(name))
    low, high = bounds["min"], bounds["max"]
    if not (whole and distinct <= MOST_VALUES):
        low, high = _outwards(low, -1), _outwards(high, 1)
    if whole:
        low, high = int(low), int(high)
    rules.append(_holds(name, "range", col(name).between(low, high)))
    return rules


def _outwards(value: float, way: int) -> float:
    """A number rounded to two digits, away from the middle."""
    if value == 0:
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = (math.ceil if way > 0 else math.floor)(value / step) * step
    # Steps below 1 leave traces of binary fractions.
    return float(f"{rounded:.6g}")


def _times(name: str, column: Any) -> list[Constraint]:
    import pyarrow.compute as pc

    if len(column) < FEWEST_ROWS:
        return []
    times = pc.drop_null(column)
    rising = pc.all(pc.less_equal(times.slice(0, max(len(times) - 1, 0)), times.slice(1))).as_py()
    if rising is False:
        return []
    check: dict[str, Json] = {"kind": "monotone", "expression": col(name).to_dict()}
    return [Constraint(f"{name} order", check, (name,))]
