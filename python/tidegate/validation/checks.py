"""What a rule can look at: rows, keys, the order of rows, and numbers of the whole table.

Every check of a row is an expression, so `in_range("month", 1, 12)` is
`rule(col("month").between(1, 12))` by a shorter name.
"""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, Unpack

from tidegate.errors import InputError
from tidegate.features import Expr
from tidegate.validation.rule import Rule, RuleOptions, as_expression, make

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidegate.types import Json

__all__ = [
    "Statistic",
    "aggregate",
    "foreign_key",
    "freshness",
    "in_range",
    "length",
    "matches",
    "monotone",
    "not_null",
    "one_of",
    "outliers",
    "rule",
    "unique",
    "volume",
]

Statistic = Literal[
    "rows",
    "count",
    "missing_share",
    "distinct",
    "mean",
    "std",
    "sum",
    "min",
    "max",
    "median",
    "quantile",
    "age",
]
"""One number of a whole table. Age is in seconds, from the latest time to now."""

NORMAL: Final = 1.4826
"""What turns the median of absolute deviations into a standard deviation of normal values."""


def rule(
    expression: Expr,
    *,
    missing: Literal["pass", "fail"] = "pass",
    **options: Unpack[RuleOptions],
) -> Rule:
    """Every row keeps a boolean expression.

    Args:
        expression: any expression that is true or false, over as many columns as it likes.
        missing: what a missing result means; as in SQL it says nothing against the row.
        **options: `name`, `severity`, `allow`, `repair`; see `RuleOptions`.

    >>> from tidegate import col
    >>> rule(col("arrival") >= col("departure"), allow=0.01).allow
    0.01
    """
    if not isinstance(expression, Expr):
        raise InputError(
            f"a rule is an expression, not {type(expression).__name__}: write col(...) > 0"
        )
    check: dict[str, Json] = {"kind": "expression", "expression": expression.to_dict()}
    if missing != "pass":
        check["missing"] = missing
    return make(check, options)


def not_null(column: str | Expr, **options: Unpack[RuleOptions]) -> Rule:
    """A value is there. `allow` is the share that may be missing: a null rate.

    >>> not_null("carrier", allow=0.05).check["kind"]
    'expression'
    """
    return rule(~as_expression(column).is_null(), **options)


def in_range(
    column: str | Expr,
    low: object | None = None,
    high: object | None = None,
    **options: Unpack[RuleOptions],
) -> Rule:
    """A value lies between bounds, which are within; one of them may be left out.

    Args:
        column: a column's name, or an expression.
        low: the least that passes: a constant or an expression.
        high: the greatest that passes.
        **options: see `RuleOptions`.

    >>> from tidegate import col
    >>> rules = [in_range("month", 1, 12), in_range(col("dep_delay"), low=-120)]
    """
    value = as_expression(column)
    if low is None and high is None:
        raise InputError("in_range has no bounds: give low, high or both")
    if low is None:
        return rule(value <= high, **options)
    return rule(value >= low if high is None else value.between(low, high), **options)


def one_of(column: str | Expr, values: Iterable[object], **options: Unpack[RuleOptions]) -> Rule:
    """A value is one of these.

    >>> one_of("origin", ["EWR", "JFK", "LGA"]).check["kind"]
    'expression'
    """
    return rule(as_expression(column).is_in(values), **options)


def matches(column: str | Expr, pattern: str, **options: Unpack[RuleOptions]) -> Rule:
    """A regular expression matches somewhere in a text; `^` and `$` hold it to all of it.

    >>> matches("tailnum", "^N[0-9A-Z]{2,5}$").check["kind"]
    'expression'
    """
    return rule(as_expression(column).str.matches(pattern), **options)


def length(
    column: str | Expr,
    low: int | None = None,
    high: int | None = None,
    **options: Unpack[RuleOptions],
) -> Rule:
    """A text has at least `low` and at most `high` characters.

    >>> length("dest", 3, 3).check["kind"]
    'expression'
    """
    characters = as_expression(column).str.len_chars()
    if low is not None and low == high:
        return rule(characters == low, **options)
    return in_range(characters, low, high, **options)


def unique(*columns: str, **options: Unpack[RuleOptions]) -> Rule:
    """No two rows are alike in these columns; without columns, in all of them.

    A row breaks the rule when an earlier one is like it; missing is like missing. Rows are told
    apart by 128 bits of their values, in bounded memory; see `docs/validation.md`.

    >>> unique("year", "month", "day", "flight").check["columns"]
    ['year', 'month', 'day', 'flight']
    """
    return make({"kind": "unique", "columns": list(columns)}, options)


def foreign_key(
    columns: str | Sequence[str],
    reference: str,
    keys: str | Sequence[str] | None = None,
    **options: Unpack[RuleOptions],
) -> Rule:
    """Each key stands in another table, which is given by its name when data is validated.

    Args:
        columns: the columns of the key; a row passes where one of them is missing.
        reference: the name of the other table.
        keys: the columns of the key there; of the same names by default.
        **options: see `RuleOptions`.

    >>> foreign_key("dest", "airports", "faa").check["reference"]
    'airports'
    """
    here = [columns] if isinstance(columns, str) else list(columns)
    there = here if keys is None else [keys] if isinstance(keys, str) else list(keys)
    return make(
        {"kind": "foreign_key", "columns": here, "reference": reference, "keys": there}, options
    )


def monotone(
    column: str | Expr,
    *,
    descending: bool = False,
    strict: bool = False,
    **options: Unpack[RuleOptions],
) -> Rule:
    """Numbers or times never fall from one row to the next; missing ones are passed over.

    Args:
        column: a column's name, or an expression.
        descending: they never rise instead.
        strict: equal neighbours break the rule too.
        **options: see `RuleOptions`.

    >>> monotone("time_hour").check["kind"]
    'monotone'
    """
    check: dict[str, Json] = {
        "kind": "monotone",
        "expression": as_expression(column).to_dict(),
        "descending": descending,
        "strict": strict,
    }
    return make(check, options)


def outliers(
    column: str | Expr,
    method: Literal["zscore", "iqr", "mad"] = "iqr",
    threshold: float | None = None,
    **options: Unpack[RuleOptions],
) -> Rule:
    """Values stay near the middle of their own distribution.

    Args:
        column: a column's name, or a number.
        method: `"zscore"` for standard deviations from the mean (3 by default), `"iqr"` for ranges
            between the quartiles from the nearer quartile (Tukey, 1.5 by default), `"mad"` for
            modified z-scores from the median (Iglewicz and Hoaglin, 3.5 by default).
        threshold: how far.
        **options: see `RuleOptions`; `allow` is the share of outliers that is usual.

    >>> outliers("distance", "mad", allow=0.01).check["method"]
    'mad'
    """
    check: dict[str, Json] = {
        "kind": "outliers",
        "expression": as_expression(column).to_dict(),
        "method": method,
    }
    if threshold is not None:
        check["threshold"] = float(threshold)
    return make(check, options)


def aggregate(
    statistic: Statistic,
    column: str | Expr | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    at: float | None = None,
    **options: Unpack[RuleOptions],
) -> Rule:
    """A number of the whole table lies between bounds, which are within.

    Args:
        statistic: which number.
        column: of which column or expression; nothing for `"rows"`.
        low: the least that passes.
        high: the greatest that passes.
        at: the share of a `"quantile"`.
        **options: see `RuleOptions`.

    >>> aggregate("mean", "dep_delay", low=-5, high=30).check["aggregate"]
    'mean'
    """
    check: dict[str, Json] = {"kind": "aggregate", "aggregate": statistic}
    if column is not None:
        check["expression"] = as_expression(column).to_dict()
    for key, value in (("min", low), ("max", high), ("at", at)):
        if value is not None:
            check[key] = float(value)
    return make(check, options)


def freshness(
    column: str | Expr, max_age: timedelta | float, **options: Unpack[RuleOptions]
) -> Rule:
    """The latest time is not older than an age, in seconds or as a `timedelta`.

    >>> from datetime import timedelta
    >>> freshness("time_hour", timedelta(days=2)).check["max"]
    172800.0
    """
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else float(max_age)
    return aggregate("age", column, high=seconds, **options)


def volume(
    low: int | None = None,
    high: int | None = None,
    *,
    history: Sequence[int] | None = None,
    tolerance: float = 3.5,
    **options: Unpack[RuleOptions],
) -> Rule:
    """The table has a usual number of rows.

    Args:
        low: the least that passes.
        high: the greatest that passes.
        history: numbers of rows of earlier tables, at least three, instead of bounds: those become
            the median and `tolerance` robust standard deviations around it (the median of absolute
            deviations, at least a hundredth of the median).
        tolerance: how many.
        **options: see `RuleOptions`.

    >>> rule = volume(history=[1000, 1010, 990, 1005])
    >>> rule.check["min"], rule.check["max"]
    (967.0, 1038.0)
    """
    if history is None:
        return aggregate("rows", low=low, high=high, **options)
    if low is not None or high is not None or len(history) < 3:
        raise InputError("volume takes bounds, or a history of at least three tables")
    middle = statistics.median(history)
    spread = statistics.median(abs(count - middle) for count in history) * NORMAL
    reach = tolerance * max(spread, middle / 100)
    return aggregate(
        "rows", low=max(0, round(middle - reach)), high=round(middle + reach), **options
    )
