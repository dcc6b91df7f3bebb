"""A report as one HTML page that opens offline: no script, nothing loaded, nothing sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

from tidegate.monitoring import svg
from tidegate.monitoring.alarm_panel import alarm_panels
from tidegate.monitoring.report import Cell, Compared, DriftColumn, DriftReport, DriftWindow
from tidegate.monitoring.segment_panel import segment_panels

__all__ = ["MOST_WINDOWS", "definitions", "framed", "render_html", "sections", "write_html"]

MOST_WINDOWS: Final = 48
"""Windows in the heat map; older ones are left out, and the page says so."""
MOST_BARS: Final = 16
"""Pairs of bars in a chart; the smallest cells of more are not drawn."""
MOST_MULTIPLES: Final = 12
"""Windows whose predictions are drawn one by one."""
CHANCE: Final = 3.0
"""A PSI says something once it is several times that of chance: so much of it is not counted when the
window is sought in which a column drifted most."""
CLOCKS: Final = ("timestamp", "date")
"""Types whose values only go on: they are as far away as can be, and say nothing."""

STYLE: Final = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#f5f7fa;color:#1f2933;
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:36px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}
h2{font-size:18px;margin:0 0 4px}
h3{font-size:14px;margin:0;overflow-wrap:anywhere}
p{margin:0 0 12px}
.muted{color:#616e7c}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:14px;margin:22px 0}
.panel,.tile,.card{background:#fff;border:1px solid #e4e7eb;border-radius:10px}
.tile{padding:14px 16px}
.tile b{display:block;font-size:22px;font-weight:600;line-height:1.3;overflow-wrap:anywhere}
.tile span{color:#616e7c;font-size:13px}
.panel{padding:22px 24px;margin:0 0 18px}
.scroll{overflow-x:auto}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:14px}
.card{padding:14px 14px 10px}
.head{display:flex;gap:8px;align-items:baseline;justify-content:space-between}
.tag{font-size:12px;border-radius:9px;padding:1px 8px;white-space:nowrap}
.facts{font-size:12.5px;color:#616e7c;margin:2px 0 6px;min-height:38px}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:10px}
.multiples figure{margin:0}
figcaption{font-size:12.5px;color:#616e7c}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 12px;vertical-align:-1px}
svg{display:block;max-width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
.scroll svg{max-width:none}
svg .small{font-size:10.5px}
svg .number{font-variant-numeric:tabular-nums;font-size:11.5px}
dt{font-weight:600;margin-top:8px}
dd{margin:0;color:#3e4c59}
@media print{body{background:#fff}.panel,.card{break-inside:avoid}}
"""


def write_html(report: DriftReport, path: str | Path, *, title: str = "Drift") -> None:
    """Writes a report as one HTML page that opens offline.

    Args:
        report: what to show; one without windows gives a page that says so.
        path: the file to write; an existing one is replaced.
        title: the heading, such as the model's name.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> report = DriftReport(baseline_rows=10, windows=())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_html(report, Path(folder) / "drift.html", title="flights")
        ...     "flights" in (Path(folder) / "drift.html").read_text()
        True

    Source:
        `docs/drift.md` defines the figures.
    """
    Path(path).write_text(render_html(report, title=title), encoding="utf-8")


def render_html(report: DriftReport, *, title: str = "Drift") -> str:
    """The page that `write_html` writes."""
    of = "" if report.segment is None else f" of {report.segment}"
    lead = (
        f"Live traffic{of} compared with the {report.baseline_rows:,} rows of the baseline. "
        f"{_span(_shown(report))}"
    )
    return framed(title, lead, [*sections(report), definitions()])


def _shown(report: DriftReport) -> list[DriftWindow]:
    return [window for window in report.windows if window.rows][-MOST_WINDOWS:]


def sections(report: DriftReport) -> list[str]:
    """What is said of drift: panels of HTML, to be put into a page."""
    windows = _shown(report)
    mistyped = _mistyped(report)
    if windows:
        body = [
            _tiles(report, windows),
            *alarm_panels(report.alarms),
            *mistyped,
            _heat(report, windows),
            *segment_panels(report.segments, _clocks(windows[-1])),
            *_predictions(windows),
            _columns(report, windows),
        ]
    else:
        body = [
            '<section class="panel"><p>No row was watched yet: send requests, then look again.</p>'
            "</section>",
            *mistyped,
        ]
    return body


def _mistyped(report: DriftReport) -> list[str]:
    """The features that had values of a wrong type: one line, where there are some."""
    if not report.mistyped:
        return []
    found = sorted(report.mistyped, key=lambda column: -column.requests)
    names = ", ".join(f"<b>{escape(c.name)}</b> {c.requests:,}" for c in found)
    return [
        '<section class="panel"><h2>Values of a wrong type</h2>'
        '<p class="muted">Requests that were refused for one, by feature; their rows are in no '
        f"window.</p><p>{names}</p></section>"
    ]


def framed(title: str, lead: str, body: Sequence[str]) -> str:
    """A whole page that opens offline.

    Args:
        title: its heading.
        lead: one sentence below it.
        body: panels of HTML; everything in them is escaped already.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        # Even a name that smuggled markup in could load nothing.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="muted">{escape(lead)}</p></header>'
        f"{''.join(body)}</main></body></html>\n"
    )


def _clocks(window: DriftWindow) -> set[str]:
    return {column.name for column in window.columns if column.dtype in CLOCKS}


def _span(windows: Sequence[DriftWindow]) -> str:
    if not windows:
        return ""
    try:
        ends = [datetime.fromtimestamp(t, UTC) for t in (windows[0].start, windows[-1].end)]
    except (OverflowError, ValueError, OSError):
        return ""
    return f"Observed from {ends[0]:%Y-%m-%d %H:%M} to {ends[1]:%Y-%m-%d %H:%M} UTC."


def _tiles(report: DriftReport, windows: Sequence[DriftWindow]) -> str:
    last = windows[-1]
    worst = max(
        (
            (_beyond_chance(column), column.psi or 0.0, column.name, window.name)
            for window in windows
            for column in window.columns
            if column.dtype not in CLOCKS
        ),
        default=(0.0, 0.0, "–", "–"),
    )[1:]
    levels = [column.level for column in last.columns]
    major, moderate = levels.count("major"), levels.count("moderate")
    tiles = (
        (f"{sum(window.rows for window in windows):,}", f"rows in {len(windows)} windows"),
        (
            f"{major + moderate} of {len(levels)}",
            f"columns drifted ({major} major, {moderate} moderate) in "
            f"{'' if last.closed else 'the open window '}{last.name}",
        ),
        (f"{worst[0]:.2f}", f"greatest PSI: {worst[1]}, {worst[2]}"),
        (f"{report.baseline_rows:,}", "rows in the baseline"),
    )
    inner = "".join(
        f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>'
        for big, small in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _heat(report: DriftReport, windows: Sequence[DriftWindow]) -> str:
    names = report.columns()
    rows = [
        (
            f"{name} (prediction)" if role == "prediction" else name,
            [window.column(name, role).psi for window in windows],
        )
        for name, role in names
    ]
    predictions = sum(role == "prediction" for _, role in names)
    columns = [
        (window.name + ("" if window.closed else " (open)"), f"{window.rows:,} rows")
        for window in windows
    ]
    left_out = sum(1 for window in report.windows if window.rows) - len(windows)
    note = f" The oldest {left_out} windows are left out." if left_out else ""
    first = "Predictions stand first, then features" if predictions else "Features"
    return (
        '<section class="panel"><h2>What drifted, and when</h2>'
        f'<p class="muted">Population stability index of each column in each window. {first}, the '
        f"most drifted on top.{note}</p>"
        f"{svg.psi_legend()}"
        f'<div class="scroll">{svg.heat_map(rows, columns, rules=[predictions - 1])}</div></section>'
    )


def _predictions(windows: Sequence[DriftWindow]) -> list[str]:
    panels = []
    for column in windows[-1].columns:
        if column.role != "prediction":
            continue
        through = [window.column(column.name, "prediction") for window in windows]
        parts = [f"<h2>Prediction: {escape(column.name)}</h2>"]
        if column.moments is not None:
            points = [
                (window.name, found.moments.live.mean if found.moments else None)
                for window, found in zip(windows, through, strict=True)
            ]
            parts.append('<p class="muted">The mean in each window, and in the baseline.</p>')
            parts.append(svg.lines(points, column.moments.baseline.mean))
        parts.append(f'<p class="muted">Its distribution, window by window.{_key()}</p>')
        shown = list(zip(windows, through, strict=True))[-MOST_MULTIPLES:]
        drawn = [(window, found, _shares(found)) for window, found in shown]
        top = max((max(p, q) for _, _, cells in drawn for _, p, q in cells), default=1.0)
        figures = "".join(
            f"<figure>{svg.bars(cells, width=216, height=92, top=top, names=False)}"
            f"<figcaption>{escape(window.name)}: PSI {_number(found.psi)}</figcaption></figure>"
            for window, found, cells in drawn
        )
        parts.append(f'<div class="multiples">{figures}</div>')
        panels.append(f'<section class="panel">{"".join(parts)}</section>')
    return panels


def _columns(report: DriftReport, windows: Sequence[DriftWindow]) -> str:
    cards = []
    for name, role in report.columns():
        if role == "prediction":
            continue
        window, column = max(
            ((window, window.column(name, role)) for window in windows),
            key=lambda pair: _beyond_chance(pair[1]),
        )
        ink = "#ffffff" if (column.psi or 0.0) >= 0.4 else svg.INK
        cards.append(
            '<div class="card"><div class="head">'
            f"<h3>{escape(name)}</h3>"
            f'<span class="tag" style="background:{svg.psi_colour(column.psi)};color:{ink}">'
            f"PSI {_number(column.psi)}</span></div>"
            f'<p class="facts">{escape("; ".join(_facts(window, column)))}</p>'
            f"{svg.bars(_shares(column))}</div>"
        )
    return (
        '<section class="panel"><h2>Feature by feature</h2>'
        f'<p class="muted">Each feature in the window in which it drifted most.{_key()}</p>'
        f'<div class="cards">{"".join(cards)}</div></section>'
    )


def _beyond_chance(column: DriftColumn) -> float:
    return (column.psi or 0.0) - CHANCE * (column.psi_noise or 0.0)


def _facts(window: DriftWindow, column: DriftColumn) -> list[str]:
    noise = column.psi_noise or 0.0
    chance = f"{noise:.3f}" if noise >= 0.001 else "<0.001"
    facts = [window.name, f"JS {_number(column.js)}", f"PSI by chance {chance}"]
    if column.moments is not None:
        was, now = column.moments.baseline.mean, column.moments.live.mean
        if was is not None and now is not None and column.dtype != "timestamp":
            facts.append(f"mean {was:.4g} → {now:.4g}")
    for words, shares in (
        ("missing", column.missing),
        ("out of range", column.out_of_range),
        ("unseen", column.unseen),
    ):
        if shares is not None and (shares.baseline or shares.live):
            facts.append(f"{words} {_change(shares)}")
    cells = sum(1 for cell in column.cells if cell.baseline or cell.live)
    if cells > MOST_BARS:
        facts.append(f"the {MOST_BARS} greatest of {cells} cells")
    return facts


def _change(shares: Compared[float]) -> str:
    return f"{_share(shares.baseline)} → {_share(shares.live)}"


def _share(share: float) -> str:
    return "0" if share == 0 else "<0.1%" if share < 0.001 else f"{share:.1%}"


def _shares(column: DriftColumn) -> list[tuple[str, float, float]]:
    """Cells as shares, without those empty on both sides and, of too many, the smallest."""
    totals = [sum(getattr(c, side) for c in column.cells) or 1 for side in ("baseline", "live")]
    shares = [
        (_short(cell, column.dtype), cell.baseline / totals[0], cell.live / totals[1])
        for cell in column.cells
        if cell.baseline or cell.live
    ]
    least = sorted((max(p, q) for _, p, q in shares), reverse=True)[:MOST_BARS][-1:]
    return [share for share in shares if max(share[1:]) >= least[0]][:MOST_BARS]


def _short(cell: Cell, dtype: str) -> str:
    """A bin is named by where it begins: the next one's name says where it ends."""
    if cell.kind != "bin" or cell.lower is None:
        return cell.label
    if dtype == "timestamp":
        return cell.label.split(",")[0].lstrip("[")
    return f"{cell.lower:.3g}" if abs(cell.lower) < 1000 else f"{cell.lower:.0f}"


def _key() -> str:
    return (
        f'<span class="key"><i style="background:{svg.BASELINE}"></i>baseline'
        f'<i style="background:{svg.LIVE}"></i>live</span>'
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def definitions() -> str:
    """How figures of drift are to be read, as a panel."""
    return (
        '<section class="panel"><h2>How to read this</h2><dl>'
        "<dt>Cells</dt><dd>Numbers are counted between quantiles of the baseline (a bar is named by "
        "the value at which its bin begins), strings by their frequent values. What is missing, "
        "outside the baseline's range, or was never seen has cells of its own.</dd>"
        "<dt>PSI, population stability index</dt><dd>Σ (q − p) ln(q / p) over the cells, where p and "
        "q are the shares of baseline and live, each at least 0.0001.</dd>"
        "<dt>JS, Jensen–Shannon distance</dt><dd>Between 0 (the same) and 1 (nothing in common), "
        "base 2.</dd>"
        "<dt>Alarms</dt><dd>A test that may be looked at at any time: the e-value is the evidence that "
        "more rows have moved than is harmless. Without that, it is ever above x with a chance of at "
        "most 1 / x. The baseline is a sample too, and its error is in the interval.</dd>"
        "<dt>Stable, moderate, major</dt><dd>Conventions of the field at 0.1 and 0.25, not tests: "
        "small windows reach them by chance, large ones hide small shifts below them. "
        "“By chance” is the PSI to be expected without any drift at these numbers of rows.</dd>"
        "</dl></section>"
    )
