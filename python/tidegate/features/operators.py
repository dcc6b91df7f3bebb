"""Arithmetic, comparison and logic as Python's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from tidegate.errors import InputError
from tidegate.features.tree import Tree, constant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.types import Json

__all__ = ["Operators"]


class Operators(Tree):
    """What `+ - * / ** % //`, the comparisons and `& | ^ ~` make of expressions and plain values."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def is_in(self, values: Iterable[object]) -> Self:
        """1 where the value is one of some constants, else 0; missing where the value is.

        Args:
            values: numbers, texts, bools or `datetime`s, all of the column's type.

        >>> from tidegate.features import col
        >>> col("origin").is_in(["EWR", "JFK"])
        col("origin").is_in(values=["EWR","JFK"])
        """
        keys = [constant(value) for value in values]
        dtypes: set[Json] = {key["dtype"] for key in keys if "dtype" in key}
        if dtypes and not all("dtype" in key for key in keys):
            raise InputError("is_in takes values of one type: datetimes stand beside others")
        return self._apply(
            "is_in", values=[key["value"] for key in keys], dtype=next(iter(dtypes), None)
        )

    def safe_divide(self, divisor: object, default: float | None = None) -> Self:
        """The ratio, with a value of its own where the divisor is 0.

        Args:
            divisor: an expression or a number.
            default: what a division by zero gives; 0 by default.

        >>> from tidegate.features import col
        >>> col("delay").safe_divide(col("flights"), default=-1)
        col("delay").safe_divide(col("flights"), default=-1)
        """
        tree = self._with("safe_divide", divisor)
        return tree if default is None else type(self)({**tree.to_dict(), "default": default})

    def between(self, low: object, high: object) -> Self:
        """1 where `low <= x <= high`, else 0; a bound may be an expression.

        >>> from tidegate.features import col
        >>> col("distance").between(100, col("range"))
        ((col("distance") >= 100) & (col("distance") <= col("range")))
        """
        return (self >= low) & (self <= high)

    def __add__(self, other: object) -> Self:
        return self._with("add", other)

    def __radd__(self, other: object) -> Self:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: object) -> Self:
        return self._with("sub", other)

    def __rsub__(self, other: object) -> Self:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: object) -> Self:
        return self._with("mul", other)

    def __rmul__(self, other: object) -> Self:
        return self._with("mul", other, swapped=True)

    def __truediv__(self, other: object) -> Self:
        return self._with("div", other)

    def __rtruediv__(self, other: object) -> Self:
        return self._with("div", other, swapped=True)

    def __pow__(self, other: object) -> Self:
        return self._with("pow", other)

    def __rpow__(self, other: object) -> Self:
        return self._with("pow", other, swapped=True)

    def __mod__(self, other: object) -> Self:
        return self._with("mod", other)

    def __rmod__(self, other: object) -> Self:
        return self._with("mod", other, swapped=True)

    def __floordiv__(self, other: object) -> Self:
        return self._with("floor_div", other)

    def __rfloordiv__(self, other: object) -> Self:
        return self._with("floor_div", other, swapped=True)

    def __abs__(self) -> Self:
        return self._apply("abs")

    def __neg__(self) -> Self:
        return self._apply("negate")

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._with("eq", other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._with("ne", other)

    def __lt__(self, other: object) -> Self:
        return self._with("lt", other)

    def __le__(self, other: object) -> Self:
        return self._with("le", other)

    def __gt__(self, other: object) -> Self:
        return self._with("gt", other)

    def __ge__(self, other: object) -> Self:
        return self._with("ge", other)

    def __and__(self, other: object) -> Self:
        return self._with("and", other)

    def __rand__(self, other: object) -> Self:
        return self._with("and", other, swapped=True)

    def __or__(self, other: object) -> Self:
        return self._with("or", other)

    def __ror__(self, other: object) -> Self:
        return self._with("or", other, swapped=True)

    def __xor__(self, other: object) -> Self:
        return self._with("xor", other)

    def __rxor__(self, other: object) -> Self:
        return self._with("xor", other, swapped=True)

    def __invert__(self) -> Self:
        return self._apply("not")

    def __bool__(self) -> NoReturn:
        raise InputError(
            "an expression is neither true nor false: it is computed row by row, so `and`, `or`, "
            "`not` and `if` do not apply: combine conditions with `&`, `|` and `~`"
        )
