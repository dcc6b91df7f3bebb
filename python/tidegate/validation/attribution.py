"""Rules about whole tables as rules about rows, as far as single rows are to blame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from tidegate.features import Expr
from tidegate.validation.checks import in_range
from tidegate.validation.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.types import Json
    from tidegate.validation.report import RuleResult, ValidationReport
    from tidegate.validation.rule import Rule

__all__ = ["WHOLE", "attributable", "attributed"]

WHOLE: Final = ("aggregate", "distribution", "outliers")
"""The kinds of rules about whole tables."""


def attributable(rules: Rules) -> bool:
    """Is a rule among these that looks at the whole table and that rows can be to blame for?"""
    return any(_bounds(rule.check, -1.0, 1.0) is not None for rule in rules)


def attributed(rules: Rules, report: ValidationReport) -> Rules:
    """The rules with which the rows are found that made a table break a rule about all of it.

    Args:
        rules: the rules that the table was held against.
        report: what they said of it.

    Returns:
        The same rules. Those of severity `"error"` that failed because of outliers, or of a least or
        greatest value beyond its bound, are rules about rows now, of the same names.

    >>> import pyarrow as pa
    >>> from tidegate.validation import aggregate
    >>> rules = Rules(aggregate("max", "x", high=9, name="x"))
    >>> table = pa.table({"x": [1, 20, 3]})
    >>> print(attributed(rules, rules.validate(table)).validate(table))
    failed: 1 rule on 3 rows: x (1 row)
    """
    said = {result.name: result for result in report.rules}
    return Rules(
        *(_attributed(rule, said.get(rule.name)) for rule in rules),
        schema=rules.schema,
        extra=rules.extra,
        ordered=rules.ordered,
    )


def _attributed(rule: Rule, result: RuleResult | None) -> Rule:
    if result is None or result.status != "failed":
        return rule
    bounds = _bounds(rule.check, result.min, result.max)
    if bounds is None:
        return rule
    expression = Expr(cast("Mapping[str, Json]", rule.check["expression"]))
    return replace(rule, check=in_range(expression, *bounds).check, allow=0.0)


def _bounds(
    check: Mapping[str, Json], low: float | None, high: float | None
) -> tuple[float | None, float | None] | None:
    """The bounds that rows are held against; `None` where no row is to blame."""
    bounds: tuple[float | None, float | None]
    if check["kind"] == "outliers":
        bounds = (low, high)
    elif check["kind"] == "aggregate" and check["aggregate"] in ("min", "max"):
        # That the least value is too large is no single row's doing.
        bounds = (low, None) if check["aggregate"] == "min" else (None, high)
    else:
        return None
    return None if bounds == (None, None) else bounds
