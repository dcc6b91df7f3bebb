"""A report as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tidegate.validation.report import RuleResult, ValidationReport

__all__ = ["rendered"]

STYLES: Final = {"passed": "green", "warned": "yellow", "failed": "red", "skipped": "dim"}


def rendered(report: ValidationReport) -> Group:
    """The report as Rich shows it: the verdict, then one line a finding and a rule."""
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for name in ("status", "rule", "found", "due", "first rows"):
        table.add_column(name, overflow="fold")
    for finding in report.schema:
        status = "failed" if finding.severity == "error" else "warned"
        table.add_row(
            Text(status, style=STYLES[status]), Text("schema"), Text(finding.message), "", ""
        )
    for rule in report.rules:
        table.add_row(
            Text(rule.status, style=STYLES[rule.status]),
            Text(rule.name),
            Text(rule.outcome),
            Text(due(rule)),
            Text(", ".join(f"{row.row:,}" for row in rule.rows)),
        )
    verdict = Text(report.verdict, style="bold green" if report.passed else "bold red")
    return Group(verdict, table)


def due(rule: RuleResult) -> str:
    """What would pass, in a few words."""
    if rule.min is not None or rule.max is not None:
        low = "" if rule.min is None else f"{rule.min:,.6g}"
        high = "" if rule.max is None else f"{rule.max:,.6g}"
        return f"{low} … {high}" if low and high else f">= {low}" if low else f"<= {high}"
    return f"at most {rule.allow:.2%}" if rule.allow else ""
