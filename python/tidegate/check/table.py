"""A report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tidegate.check.report import CheckReport

__all__ = ["rendered"]

STYLES: Final = {"pass": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}


def rendered(report: CheckReport) -> Group:
    """The report as rich shows it: a line for each check, the verdict below."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "outcome", "found"):
        table.add_column(column, overflow="fold")
    for result in report.results:
        style = STYLES[result.outcome]
        quiet = style if result.outcome == "skipped" else ""
        table.add_row(
            Text(result.name, quiet), Text(result.outcome, style), Text(result.sentence, quiet)
        )
    return Group(table, Text(), Text(report.verdict, STYLES[report.outcome]))
