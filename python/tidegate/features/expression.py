"""Expressions over columns. They only build JSON: checks and defaults live in the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate import _core
from tidegate.errors import InputError
from tidegate.features.binning import Binning
from tidegate.features.categorical import Categorical
from tidegate.features.dates import DatePart
from tidegate.features.lists import Lists
from tidegate.features.missing import Missing
from tidegate.features.operators import Operators
from tidegate.features.scaling import Scaling
from tidegate.features.text import Texts
from tidegate.features.tree import operand, several

if TYPE_CHECKING:
    from tidegate.types import Json

__all__ = ["Expr", "coalesce", "col", "lit"]


def col(name: str) -> Expr:
    """A column of the input.

    Args:
        name: the column's name in the schema.

    Returns:
        The column as an expression; what can be done with it are its methods and operators.

    >>> col("seats") / col("engines")
    (col("seats") / col("engines"))
    """
    return Expr({"op": "col", "name": name})


def lit(value: object) -> Expr:
    """A constant in every row.

    Args:
        value: a bool, number, text or `datetime` (taken as UTC if it has no zone), or a scalar of
            NumPy's.

    Returns:
        The constant as an expression. Operators make one of a plain value by themselves.

    Raises:
        InputError: the value is none of these, or no finite number.

    >>> from datetime import datetime
    >>> col("departure") < lit(datetime(2013, 7, 1))
    (col("departure") < 1372636800000000)
    """
    return Expr(operand(value))


def coalesce(*values: object) -> Expr:
    """The first of several values that is not missing; missing where all are.

    Args:
        values: expressions of one type, or plain values.

    >>> coalesce(col("arrival"), col("scheduled"), 0)
    coalesce(col("arrival"), col("scheduled"), 0)
    """
    return Expr(several("coalesce", values))


class Expr(Operators, Missing, Scaling, Binning, Categorical, Texts, Lists):
    """A column computation, immutable. Made by `col` and `lit`, grown by methods and operators.

    Operators are `+ - * /`, negation, the six comparisons, and `& | ^ ~` of conditions; the other
    operand may be a plain value. A comparison gives 1 or 0. Missing values flow through: anything
    computed from a missing value is missing, except where a method says otherwise.

    >>> (col("distance").log1p().standardize()).alias("far")
    col("distance").log1p().standardize().alias("far")
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def from_json(cls, text: str) -> Expr:
        """Reads an expression from JSON; it is checked when a feature set is made of it.

        Raises:
            InputError: the text is no JSON object.

        >>> Expr.from_json(col("x").log1p().to_json())
        col("x").log1p()
        """
        try:
            tree = json.loads(text)
        except ValueError as error:
            raise InputError(f"not an expression: {error}") from error
        if not isinstance(tree, dict):
            raise InputError("not an expression: a JSON object is due")
        return cls(tree)

    def alias(self, name: str) -> Expr:
        """The same values under a name of their own; several columns get it as a beginning."""
        return self._apply("alias", name=name)

    def cyclical(self, period: float) -> Expr:
        """Sine and cosine of the value's place on a circle: two columns, which end the expression.

        Args:
            period: the length of a turn, as 24 for hours.
        """
        return self._apply("cyclical", period=period)

    @property
    def dt(self) -> DatePart[Expr]:
        """The parts of a timestamp."""
        return DatePart(self)

    def __getstate__(self) -> dict[str, Json]:
        return self._data

    def __setstate__(self, state: dict[str, Json]) -> None:
        self._data = state

    def __repr__(self) -> str:
        return _core.expression_text(self.to_json())

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Expr:
        return self
