"""A report as one HTML page that opens offline: no script, nothing loaded, nothing sent."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Final

from tidegate.validation.table import due

if TYPE_CHECKING:
    from tidegate.validation.report import BrokenRow, RuleResult, ValidationReport

__all__ = ["render_html"]

STYLE: Final = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#f5f7fa;color:#1f2933;
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:36px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}
h2{font-size:18px;margin:0 0 12px}
.muted{color:#616e7c}
.verdict{border-radius:10px;padding:14px 18px;margin:18px 0;font-weight:600;overflow-wrap:anywhere}
.verdict.passed{background:#e3f9e5;color:#0e5814}
.verdict.failed{background:#ffe3e3;color:#8a041a}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px;margin:0 0 18px}
.tile,.panel{background:#fff;border:1px solid #e4e7eb;border-radius:10px}
.tile{padding:14px 16px}
.tile b{display:block;font-size:22px;font-weight:600;line-height:1.3}
.tile span{color:#616e7c;font-size:13px}
.panel{padding:22px 24px;margin:0 0 18px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:#616e7c;font-weight:600;font-size:12.5px;padding:4px 12px 6px 0}
td{border-top:1px solid #e4e7eb;padding:8px 12px 8px 0;vertical-align:top;overflow-wrap:anywhere}
td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
.tag{font-size:12px;border-radius:9px;padding:2px 9px;white-space:nowrap}
.tag.passed{background:#e3f9e5;color:#0e5814}
.tag.warned{background:#fff3c4;color:#7c5e10}
.tag.failed{background:#ffe3e3;color:#8a041a}
.tag.skipped{background:#e4e7eb;color:#3e4c59}
.bar{height:5px;border-radius:3px;background:#e4e7eb;margin-top:5px;min-width:90px;max-width:160px}
.bar i{display:block;height:5px;border-radius:3px;background:#cf1124}
code{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:#3e4c59}
details summary{cursor:pointer;color:#3e4c59;font-size:13px}
details table{margin-top:4px;font-size:13px}
@media print{body{background:#fff}.panel{break-inside:avoid}}
"""


def render_html(report: ValidationReport, *, title: str = "Validation") -> str:
    """The page of a report.

    Args:
        report: what to show.
        title: the heading, such as the table's name.

    >>> import pyarrow as pa
    >>> from tidegate.validation import Rules, not_null
    >>> report = Rules(not_null("x")).validate(pa.table({"x": [1, None]}))
    >>> "1 rows (50.00%)" in render_html(report)
    True
    """
    state = "passed" if report.passed else "failed"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        # Even a value that smuggled markup in could load nothing.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="muted">Rules {escape(report.rules_fingerprint[:19])}…</p></header>'
        f'<div class="verdict {state}">{escape(report.verdict)}</div>'
        f"{_tiles(report)}{_schema(report)}{_rules(report)}</main></body></html>\n"
    )


def _tiles(report: ValidationReport) -> str:
    counts = dict.fromkeys(("passed", "warned", "failed", "skipped"), 0)
    for rule in report.rules:
        counts[rule.status] += 1
    tiles = [("rows", f"{report.rows:,}"), ("rules", f"{len(report.rules):,}")]
    tiles += [(status, f"{count:,}") for status, count in counts.items() if count]
    cells = (f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in tiles)
    return f'<section class="tiles">{"".join(cells)}</section>'


def _tag(status: str) -> str:
    return f'<span class="tag {status}">{status}</span>'


def _schema(report: ValidationReport) -> str:
    if not report.schema:
        return ""
    rows = "".join(
        f"<tr><td>{_tag('failed' if finding.severity == 'error' else 'warned')}</td>"
        f"<td>{escape(finding.column)}</td><td>{escape(finding.message)}</td></tr>"
        for finding in report.schema
    )
    return (
        '<section class="panel"><h2>Columns against the schema</h2><table>'
        f"<tr><th>status</th><th>column</th><th>finding</th></tr>{rows}</table></section>"
    )


def _rules(report: ValidationReport) -> str:
    if not report.rules:
        return '<section class="panel"><p>There are no rules.</p></section>'
    order = {"failed": 0, "warned": 1, "skipped": 2, "passed": 3}
    rows = "".join(_rule(rule) for rule in sorted(report.rules, key=lambda r: order[r.status]))
    return (
        '<section class="panel"><h2>Rules</h2><table>'
        "<tr><th>status</th><th>rule</th><th>found</th><th>due</th><th>rows, numbered from 0</th>"
        f"</tr>{rows}</table></section>"
    )


def _rule(rule: RuleResult) -> str:
    text = "" if rule.text == rule.name else f"<br><code>{escape(rule.text)}</code>"
    note = "" if rule.exact else "<br><span class='muted'>estimated</span>"
    bar = ""
    if rule.share:
        # A single row of millions is still to be seen.
        width = max(rule.share * 100, 1.5)
        bar = f'<div class="bar"><i style="width:{width:.1f}%"></i></div>'
    return (
        f"<tr><td>{_tag(rule.status)}</td><td>{escape(rule.name)}{text}</td>"
        f'<td class="number">{escape(rule.outcome)}{bar}{note}</td>'
        f'<td class="number">{escape(due(rule))}</td><td>{_sample(rule)}</td></tr>'
    )


def _sample(rule: RuleResult) -> str:
    if not rule.rows:
        return ""
    lines = "".join(_line(row) for row in rule.rows)
    numbers = ", ".join(f"{row.row:,}" for row in rule.rows)
    return f"<details><summary>{numbers}</summary><table>{lines}</table></details>"


def _line(row: BrokenRow) -> str:
    values = ", ".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in row.values.items()
    )
    return f'<tr><td class="number">{row.row:,}</td><td>{escape(values)}</td></tr>'
