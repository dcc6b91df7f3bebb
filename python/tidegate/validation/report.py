"""What a validation says: counts, rows and one line; as objects, text, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidegate.errors import DataError, StateError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Group

    from tidegate.validation.rule import Severity

__all__ = ["BrokenRow", "Finding", "RuleResult", "Status", "ValidationReport"]

VERSION = 1

Status = Literal["passed", "warned", "failed", "skipped"]
"""How a rule came out. One that was skipped has no column to look at; a finding says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the columns of a table and the schema.

    Attributes:
        kind: `missing_column`, `wrong_type`, `unexpected_column` or `wrong_order`.
        column: at which column.
        severity: what it means.
        message: one sentence: what is wrong, and the mend.
    """

    kind: str
    column: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that breaks a rule.

    Attributes:
        row: its number in the data, from 0.
        values: what it has in the columns of the rule; empty where that is not known any more.
    """

    row: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How one rule came out.

    Attributes:
        name: the rule's name.
        kind: the kind of its check.
        text: the check as a person would say it.
        severity: what it means that it is broken.
        allow: the share of rows that may break it.
        status: how it came out.
        failures: rows that break it; `None` for a rule about the whole table.
        share: their share of all rows.
        missing: rows of which it says nothing, since its value is missing.
        value: the number of the whole table; `None` for rules about rows.
        min: the least that passes.
        max: the greatest that passes.
        exact: whether the counts are exact.
        message: what else is to be said.
        rows: the first rows that break it.
    """

    name: str
    kind: str
    text: str
    severity: Severity
    allow: float
    status: Status
    failures: int | None
    share: float | None
    missing: int
    value: float | None
    min: float | None
    max: float | None
    exact: bool
    message: str
    rows: tuple[BrokenRow, ...]

    @property
    def outcome(self) -> str:
        """What it found, in a few words."""
        if self.status == "skipped":
            return self.message
        if self.kind in ("aggregate", "distribution"):
            return self.message if self.value is None else f"{self.value:,.6g}"
        if not self.failures:
            return self.message or "–"
        return f"{self.failures:,} rows ({self.share or 0:.2%})"


@dataclass(frozen=True)
class ValidationReport:
    """What a validation says.

    Attributes:
        passed: whether everything holds that is more than a warning.
        verdict: one line.
        rows: how many rows were seen.
        rules_fingerprint: the digest of the rules.
        schema: differences between the columns and the schema.
        rules: the rules in order; those that the schema implies come first.

    >>> import pyarrow as pa
    >>> from tidegate.validation import Rules, in_range
    >>> report = Rules(in_range("x", 0, 2)).validate(pa.table({"x": [1, 2, 3]}))
    >>> print(report.verdict)
    failed: 1 rule on 3 rows: ((col("x") >= 0) & (col("x") <= 2)) (1 row)
    >>> report.rules[0].rows[0]
    BrokenRow(row=2, values={'x': 3})
    """

    passed: bool
    verdict: str
    rows: int
    rules_fingerprint: str
    schema: tuple[Finding, ...]
    rules: tuple[RuleResult, ...]
    _json: str

    @classmethod
    def from_json(cls, text: str) -> ValidationReport:
        """Reads what `to_json` wrote, of this or any earlier version.

        Raises:
            StateError: the text is no report, or of a later version.
        """
        try:
            document = json.loads(text)
            version = document["version"]
        except (ValueError, TypeError, KeyError) as error:
            raise StateError(f"not a validation report: {error}") from error
        if not isinstance(version, int) or version > VERSION:
            raise StateError(
                f"validation report of version {version} is newer than {VERSION}, the newest this "
                "tidegate reads: upgrade tidegate"
            )
        try:
            return cls(
                passed=document["passed"],
                verdict=document["verdict"],
                rows=document["rows"],
                rules_fingerprint=document["rules_fingerprint"],
                schema=tuple(Finding(**finding) for finding in document["schema"]),
                rules=tuple(_result(rule) for rule in document["rules"]),
                _json=text,
            )
        except (KeyError, TypeError) as error:
            raise StateError(f"not a validation report: {error}") from error

    def to_json(self) -> str:
        """The report as JSON, with `version`."""
        return self._json

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, name: str) -> RuleResult:
        for result in self.rules:
            if result.name == name:
                return result
        raise KeyError(f"the report has no rule {name!r}")

    def raise_if_failed(self) -> ValidationReport:
        """The report itself if it passed.

        Raises:
            DataError: it did not; the message is the verdict, `report` the report.
        """
        if not self.passed:
            raise DataError(self.verdict, self)
        return self

    def __str__(self) -> str:
        return self.verdict

    def __repr__(self) -> str:
        return f"ValidationReport({self.verdict})"

    def __rich__(self) -> Group:
        from tidegate.validation.table import rendered

        return rendered(self)

    def to_html(self, *, title: str = "Validation") -> str:
        """The report as one HTML page that opens offline: no script, nothing loaded."""
        from tidegate.validation.page import render_html

        return render_html(self, title=title)

    def write_html(self, path: str | Path, *, title: str = "Validation") -> None:
        """Writes `to_html` into a file, which is replaced if it is there."""
        from pathlib import Path

        Path(path).write_text(self.to_html(title=title), encoding="utf-8")


def _result(rule: dict[str, Any]) -> RuleResult:
    rows = tuple(BrokenRow(**row) for row in rule["rows"])
    return RuleResult(**{**rule, "rows": rows})
