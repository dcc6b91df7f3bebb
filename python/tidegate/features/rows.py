"""Expressions over several columns of one row, and choices between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.features.expression import Expr
from tidegate.features.tree import operand, several

if TYPE_CHECKING:
    from tidegate.types import Json

__all__ = [
    "When",
    "polynomial",
    "row_all",
    "row_any",
    "row_count_null",
    "row_max",
    "row_mean",
    "row_median",
    "row_min",
    "row_std",
    "row_sum",
    "when",
]


def row_sum(*values: object) -> Expr:
    """The sum of a row's values; missing ones are left out, and it is missing where all are.

    Args:
        values: expressions or plain values, at most 256.

    >>> from tidegate.features import col
    >>> row_sum(col("taxi_in"), col("taxi_out"))
    row_sum(col("taxi_in"), col("taxi_out"))
    """
    return Expr(several("row_sum", values))


def row_mean(*values: object) -> Expr:
    """The mean of a row's values, as `row_sum` takes them."""
    return Expr(several("row_mean", values))


def row_min(*values: object) -> Expr:
    """The least of a row's values, which are numbers or timestamps, as `row_sum` takes them."""
    return Expr(several("row_min", values))


def row_max(*values: object) -> Expr:
    """The greatest of a row's values, which are numbers or timestamps, as `row_sum` takes them."""
    return Expr(several("row_max", values))


def row_median(*values: object) -> Expr:
    """The median of a row's values, as `row_sum` takes them."""
    return Expr(several("row_median", values))


def row_std(*values: object, ddof: int | None = None) -> Expr:
    """The standard deviation of a row's values, as `row_sum` takes them.

    Args:
        values: expressions or plain values, at most 256.
        ddof: 1 for that of a sample, which is the default, 0 for that of a population.
    """
    return Expr(several("row_std", values, ddof=ddof))


def row_any(*conditions: object) -> Expr:
    """1 where one of the conditions holds, as `|` between them."""
    return Expr(several("row_any", conditions))


def row_all(*conditions: object) -> Expr:
    """1 where all conditions hold, as `&` between them."""
    return Expr(several("row_all", conditions))


def row_count_null(*values: object) -> Expr:
    """How many of a row's values, of whatever types, are missing."""
    return Expr(several("row_count_null", values))


def polynomial(
    *values: object,
    degree: int | None = None,
    interaction_only: bool | None = None,
    include_bias: bool | None = None,
) -> Expr:
    """A column for each product of powers of some values (`PolynomialFeatures`).

    Args:
        values: expressions or plain values, at most 256.
        degree: how many factors a product has at most, 1 to 10; 2 by default.
        interaction_only: whether the factors of a product are different ones.
        include_bias: whether there is a first column of ones.

    Returns:
        Several columns, which end the expression: by degree, then by the place of the factors.

    >>> from tidegate.features import col
    >>> polynomial(col("x"), col("y"), interaction_only=True)
    polynomial(col("x"), col("y"), interaction_only=True)
    """
    return Expr(
        several(
            "polynomial",
            values,
            degree=degree,
            interaction_only=interaction_only,
            include_bias=include_bias,
        )
    )


class When:
    """A choice that may grow by a further condition, and ends with `otherwise`."""

    __slots__ = ("_inputs",)

    def __init__(self, inputs: list[Json]) -> None:
        self._inputs = inputs

    def when(self, condition: object) -> Then:
        """A further condition, for rows in which none before holds."""
        return Then([*self._inputs, operand(condition)])

    def otherwise(self, value: object | None = None) -> Expr:
        """The value of rows in which no condition holds; without one they are missing."""
        rest = [] if value is None else [operand(value)]
        return Expr({"op": "when", "inputs": [*self._inputs, *rest]})


class Then:
    """A condition that waits for its value."""

    __slots__ = ("_inputs",)

    def __init__(self, inputs: list[Json]) -> None:
        self._inputs = inputs

    def then(self, value: object) -> When:
        """The value of rows in which the condition holds."""
        return When([*self._inputs, operand(value)])


def when(condition: object) -> Then:
    """The value of the first condition that holds.

    Args:
        condition: an expression that is a condition; where it is missing it does not hold.

    Returns:
        What takes the value with `.then(x)`; the chain goes on with `.when(c).then(y)` and ends
        with `.otherwise(z)`.

    >>> from tidegate.features import col
    >>> when(col("delay") > 60).then(2).when(col("delay") > 15).then(1).otherwise(0)
    when((col("delay") > 60)).then(2).when((col("delay") > 15)).then(1).otherwise(0)
    """
    return Then([operand(condition)])
