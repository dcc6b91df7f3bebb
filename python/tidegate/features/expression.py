"""Expressions over columns. They only build JSON: checks and defaults live in the engine."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from tidegate import _core
from tidegate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegate.types import Json

__all__ = ["DatePart", "Expr", "col", "lit"]

_STRATEGIES: Final = ("mean", "median", "most_frequent")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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

    >>> col("departure") < lit(datetime(2013, 7, 1))
    (col("departure") < 1372636800000000)
    """
    return Expr({"op": "literal", **_constant(value)})


def _constant(value: object) -> dict[str, Json]:
    """The keys of a literal."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return {"value": (aware - _EPOCH) // timedelta(microseconds=1), "dtype": "timestamp"}
    if not isinstance(value, bool | int | float | str):
        item = getattr(value, "item", None)
        value = item() if callable(item) and getattr(value, "shape", None) == () else value
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} is no constant of an expression: use a finite number")
    if isinstance(value, bool | int | float | str):
        return {"value": value}
    raise InputError(
        f"{type(value).__name__} is no constant of an expression: use a bool, number, text or "
        "datetime, or a column with col(...)"
    )


def _tree(value: object) -> dict[str, Json]:
    """The JSON of an operand, which may be a plain value."""
    return (value if isinstance(value, Expr) else lit(value)).to_dict()


class DatePart:
    """The parts of a timestamp, in UTC: `col("departure").dt.hour()`.

    Each gives a number, and missing for a missing time.
    """

    __slots__ = ("_input",)

    def __init__(self, expression: Expr) -> None:
        self._input = expression

    def _part(self, part: str) -> Expr:
        return self._input._apply("dt", part=part)

    def year(self) -> Expr:
        """The year."""
        return self._part("year")

    def quarter(self) -> Expr:
        """The quarter, 1 to 4."""
        return self._part("quarter")

    def month(self) -> Expr:
        """The month, 1 to 12."""
        return self._part("month")

    def day(self) -> Expr:
        """The day of the month, 1 to 31."""
        return self._part("day")

    def day_of_year(self) -> Expr:
        """The day of the year, 1 to 366."""
        return self._part("day_of_year")

    def weekday(self) -> Expr:
        """The day of the week; Monday is 0."""
        return self._part("weekday")

    def hour(self) -> Expr:
        """The hour, 0 to 23."""
        return self._part("hour")

    def minute(self) -> Expr:
        """The minute, 0 to 59."""
        return self._part("minute")

    def second(self) -> Expr:
        """The whole second, 0 to 59."""
        return self._part("second")

    def epoch(self) -> Expr:
        """Seconds since 1970, with their fraction."""
        return self._part("epoch")


class Expr:
    """A column computation, immutable. Made by `col` and `lit`, grown by methods and operators.

    Operators are `+ - * /`, negation and the six comparisons; the other operand may be a plain
    value. A comparison gives 1 or 0. Missing values flow through: anything computed from a missing
    value is missing, except where a method says otherwise.

    >>> (col("distance").log1p().standardize()).alias("far")
    col("distance").log1p().standardize().alias("far")
    """

    __slots__ = ("_data",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tree: Mapping[str, Json]) -> None:
        self._data = dict(tree)

    def to_dict(self) -> dict[str, Json]:
        """The expression as the JSON object that is written to disk."""
        return dict(self._data)

    def to_json(self) -> str:
        """The expression as JSON."""
        return json.dumps(self._data, allow_nan=False)

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

    def _apply(self, op: str, **parameters: Json) -> Expr:
        given = {key: value for key, value in parameters.items() if value is not None}
        return Expr({"op": op, "input": self.to_dict(), **given})

    def _with(self, op: str, other: object, *, swapped: bool = False) -> Expr:
        left, right = (_tree(other), _tree(self)) if swapped else (_tree(self), _tree(other))
        return Expr({"op": op, "left": left, "right": right})

    def alias(self, name: str) -> Expr:
        """The same values under a name of their own; several columns get it as a beginning."""
        return self._apply("alias", name=name)

    def fill_null(
        self, value_or_strategy: object | None = None, *, value: object | None = None
    ) -> Expr:
        """Replaces missing values.

        Args:
            value_or_strategy: a constant of the column's type, or what `fit` is to learn: `"mean"`,
                `"median"` or `"most_frequent"` (of equally frequent values the smallest).
            value: a constant, whatever it is called: `fill_null(value="mean")` fills in the text.

        Returns:
            The expression; its values are never missing.

        >>> col("seats").fill_null("median")
        col("seats").fill_null(strategy="median")
        """
        if value is None and value_or_strategy in _STRATEGIES:
            return self._apply("fill_null", strategy=str(value_or_strategy))
        constant = value if value is not None else value_or_strategy
        if constant is None:
            raise InputError(
                "fill_null needs a constant or one of 'mean', 'median' and 'most_frequent'"
            )
        return self._apply("fill_null", value=_constant(constant)["value"])

    def is_null(self) -> Expr:
        """1 where the value is missing, else 0; never missing itself."""
        return self._apply("is_null")

    def standardize(self) -> Expr:
        """Mean 0 and standard deviation 1 over what `fit` sees (`StandardScaler`)."""
        return self._apply("standardize")

    def min_max(self) -> Expr:
        """The range that `fit` sees mapped to 0 to 1 (`MinMaxScaler`)."""
        return self._apply("min_max")

    def log1p(self) -> Expr:
        """The natural logarithm of one plus the value; missing for -1 and below."""
        return self._apply("log1p")

    def clip(self, low: float | None = None, high: float | None = None) -> Expr:
        """The value held between bounds, of which one may be left out."""
        return self._apply("clip", low=low, high=high)

    def bucketize(
        self,
        buckets: int | None = None,
        *,
        method: Literal["quantile", "uniform"] | None = None,
        edges: Sequence[float] | None = None,
    ) -> Expr:
        """The number of the bucket that the value falls into, from 0 (`KBinsDiscretizer`).

        Args:
            buckets: how many, with edges that `fit` learns.
            method: `"quantile"` for buckets of equal counts, which is the default, or `"uniform"`
                for buckets of equal width.
            edges: inner edges, rising, instead of a number; a value on an edge lies above it.

        >>> col("distance").bucketize(edges=[500, 1000])
        col("distance").bucketize(edges=[500.0,1000.0])
        """
        inner: Json = None if edges is None else [float(edge) for edge in edges]
        return self._apply("bucketize", buckets=buckets, method=method, edges=inner)

    def one_hot(self, *, min_count: int | None = None, unknown: bool | None = None) -> Expr:
        """One column for each category, and one for all that are rare or unseen (`OneHotEncoder`).

        Args:
            min_count: how often `fit` must see a category for a column of its own; 1 by default.
            unknown: whether there is a column for the others; there is by default. Without it a
                rare or unseen category is 0 in all columns.

        Returns:
            Several columns, which end the expression. A missing value is 0 in all of them.
        """
        return self._apply("one_hot", min_count=min_count, unknown=unknown)

    def ordinal(self, *, min_count: int | None = None) -> Expr:
        """The position of the category in order, from 0; -1 for rare and unseen ones.

        Args:
            min_count: how often `fit` must see a category for a position of its own; 1 by default.
        """
        return self._apply("ordinal", min_count=min_count)

    def hash(self, buckets: int) -> Expr:
        """The bucket of the value's text, from 0: the column of scikit-learn's `FeatureHasher`.

        Args:
            buckets: how many buckets; nothing is learned, so nothing is unseen.
        """
        return self._apply("hash", buckets=buckets)

    def cross(self, other: Expr) -> Expr:
        """This value and another as one category, to be encoded; missing if either is.

        >>> col("origin").cross(col("dest")).hash(1024)
        col("origin").cross(col("dest")).hash(buckets=1024)
        """
        return self._with("cross", other)

    def cyclical(self, period: float) -> Expr:
        """Sine and cosine of the value's place on a circle: two columns, which end the expression.

        Args:
            period: the length of a turn, as 24 for hours.
        """
        return self._apply("cyclical", period=period)

    @property
    def dt(self) -> DatePart:
        """The parts of a timestamp."""
        return DatePart(self)

    def __add__(self, other: object) -> Expr:
        return self._with("add", other)

    def __radd__(self, other: object) -> Expr:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: object) -> Expr:
        return self._with("sub", other)

    def __rsub__(self, other: object) -> Expr:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: object) -> Expr:
        return self._with("mul", other)

    def __rmul__(self, other: object) -> Expr:
        return self._with("mul", other, swapped=True)

    def __truediv__(self, other: object) -> Expr:
        return self._with("div", other)

    def __rtruediv__(self, other: object) -> Expr:
        return self._with("div", other, swapped=True)

    def __neg__(self) -> Expr:
        return self._apply("negate")

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return self._with("eq", other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return self._with("ne", other)

    def __lt__(self, other: object) -> Expr:
        return self._with("lt", other)

    def __le__(self, other: object) -> Expr:
        return self._with("le", other)

    def __gt__(self, other: object) -> Expr:
        return self._with("gt", other)

    def __ge__(self, other: object) -> Expr:
        return self._with("ge", other)

    def __bool__(self) -> NoReturn:
        raise InputError(
            "an expression is neither true nor false: it is computed row by row, so `and`, `or`, "
            "`not` and `if` do not apply"
        )

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
