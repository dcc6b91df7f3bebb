"""One rule: what it looks at, what it means that it is broken, and how much of that is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypedDict

from tidegate.errors import InputError
from tidegate.features import Expr, col

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegate.types import Json

__all__ = ["Rule", "RuleOptions", "Severity", "as_expression", "make"]

Severity = Literal["error", "warning"]
"""What a broken rule means: the data is not good, or somebody should look at it."""


class RuleOptions(TypedDict, total=False):
    """What every rule takes beside what it looks at.

    Attributes:
        name: unique in its set; how the check is written by default. The label of its counter.
        severity: `"error"` by default.
        allow: the share of rows that may break it, 0 by default; for rules about rows.
        repair: for a guard that repairs, columns with what is put there in a row that breaks the
            rule: a constant, an expression such as `col("x").clip(0, 10)`, or `None` for missing.
    """

    name: str
    severity: Severity
    allow: float
    repair: Mapping[str, object]


@dataclass(frozen=True)
class Rule:
    """One rule of a set, as the functions of this package make it.

    Attributes:
        check: what it looks at, as the JSON that is written to disk.
        name: unique in its set; how the check is written where it is empty.
        severity: what it means that it is broken.
        allow: the share of rows that may break it.
        repair: columns with what a guard puts there.
    """

    check: Mapping[str, Json]
    name: str = ""
    severity: Severity = "error"
    allow: float = 0.0
    repair: Mapping[str, Json] | None = field(default=None)

    def to_dict(self) -> dict[str, Json]:
        """The rule as the JSON object that is written to disk."""
        document: dict[str, Json] = {
            "name": self.name,
            "check": dict(self.check),
            "severity": self.severity,
            "allow": self.allow,
        }
        if self.repair is not None:
            document["repair"] = dict(self.repair)
        return document


def as_expression(value: str | Expr) -> Expr:
    """A column by its name, or an expression as it is."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, str):
        return col(value)
    raise InputError(
        f"{type(value).__name__} is neither the name of a column nor an expression: write col(...)"
    )


def make(check: Mapping[str, Json], options: RuleOptions) -> Rule:
    """A rule of a check and what every rule takes."""
    unknown = set(options) - RuleOptions.__annotations__.keys()
    if unknown:
        raise InputError(
            f"a rule has no option {sorted(unknown)[0]!r}: use name, severity, allow and repair"
        )
    repair = options.get("repair")
    return Rule(
        check,
        name=options.get("name", ""),
        severity=options.get("severity", "error"),
        allow=float(options.get("allow", 0.0)),
        repair=None if repair is None else {k: _constant(v) for k, v in repair.items()},
    )


def _constant(value: object) -> Json:
    """What stands in a repair: null for missing, or an expression."""
    from tidegate.features import lit

    if value is None:
        return None
    return (value if isinstance(value, Expr) else lit(value)).to_dict()
