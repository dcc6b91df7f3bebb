"""A report as one HTML page that opens offline: no script, nothing loaded, nothing sent."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tidegate.validation.page import STYLE

if TYPE_CHECKING:
    from tidegate.check.report import CheckReport
    from tidegate.check.result import Figure, Result

__all__ = ["render_html"]

CLASSES: Final = {"pass": "passed", "warn": "warned", "fail": "failed", "skipped": "skipped"}
"""The classes of the style sheet."""


def render_html(report: CheckReport) -> str:
    """The page of a report."""
    title = escape(f"Check of {report.candidate}")
    against = "" if report.champion is None else f" · against {escape(report.champion)}"
    rows = "".join(_row(result) for result in report.results)
    state = "failed" if report.outcome == "fail" else "passed"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{title}</h1>"
        f'<p class="muted">{escape(report.digest[:19])}…{against} · {report.time} · '
        f"{escape(report.machine)}</p></header>"
        f'<div class="verdict {state}">{escape(report.verdict)}</div>'
        '<section class="panel"><table><tr><th>outcome</th><th>check</th><th>found</th></tr>'
        f"{rows}</table></section></main></body></html>\n"
    )


def _row(result: Result) -> str:
    figures = ""
    if result.figures:
        lines = "".join(_figure(figure) for figure in result.figures)
        figures = f"<details><summary>figures</summary><table>{lines}</table></details>"
    return (
        f'<tr><td><span class="tag {CLASSES[result.outcome]}">{result.outcome}</span></td>'
        f"<td>{escape(result.name)}</td><td>{escape(result.sentence)}{figures}</td></tr>"
    )


def _figure(figure: Figure) -> str:
    limit = "" if figure.limit is None else f"limit {figure.limit:.4g}"
    return (
        f"<tr><td>{escape(figure.name)}</td>"
        f'<td class="number">{escape(figure.text)}</td><td>{limit}</td></tr>'
    )
