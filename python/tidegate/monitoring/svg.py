"""Charts as SVG text: no library, no script, nothing to load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Final

__all__ = ["bars", "heat_map", "intervals", "lines", "psi_colour", "psi_legend"]

INK: Final = "#1f2933"
MUTED: Final = "#7b8794"
GRID: Final = "#e4e7eb"
BASELINE: Final = "#b8c4d0"
LIVE: Final = "#2f6fb0"

# From no drift to a PSI of 1 and above; light to dark, so that it reads without colour too.
STOPS: Final[tuple[tuple[float, tuple[int, int, int]], ...]] = (
    (0.0, (238, 244, 247)),
    (0.05, (214, 232, 226)),
    (0.1, (250, 230, 170)),
    (0.25, (243, 166, 92)),
    (0.5, (214, 84, 56)),
    (1.0, (130, 22, 40)),
)
CHARACTER: Final = 6.7
"""Pixels of a character at 12 px, a little more than most need."""


def psi_colour(psi: float | None) -> str:
    """The colour of a PSI; white where there is none."""
    if psi is None:
        return "#ffffff"
    value = min(max(psi, 0.0), 1.0)
    for (low, first), (high, last) in pairwise(STOPS):
        if value <= high:
            share = (value - low) / (high - low)
            mixed = (round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
            return "#" + "".join(f"{part:02x}" for part in mixed)
    return "#" + "".join(f"{part:02x}" for part in STOPS[-1][1])


def shorten(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def heat_map(
    rows: Sequence[tuple[str, Sequence[float | None]]],
    columns: Sequence[tuple[str, str]],
    *,
    rules: Iterable[int] = (),
) -> str:
    """PSI by row and column.

    Args:
        rows: a name and one PSI a column.
        columns: a name and what its tooltip adds.
        rules: rows after which a line is drawn.
    """
    left = CHARACTER * min(max((len(name) for name, _ in rows), default=0), 30) + 16
    tall = 26
    longest = max((len(shorten(name, 18)) for name, _ in columns), default=0)
    wide = min((928 - left) / max(len(columns), 1), 104)
    slanted = longest * CHARACTER > wide - 4
    top = 18 + (longest * CHARACTER * 0.62 if slanted else 4)
    overhang = longest * CHARACTER * 0.8 if slanted else 0
    wide = max(min(wide, (928 - left - overhang) / max(len(columns), 1)), 12)
    numbers = wide >= 34
    width, height = left + wide * len(columns) + overhang + 8, top + tall * len(rows) + 4
    parts = [_open(width, height, "Heat map of PSI by column and window")]
    # Where columns are narrow only some are named, so that names do not run into each other.
    every = max(1, -(-26 // int(wide))) if slanted else 1
    for i, (name, note) in enumerate(columns):
        if i % every:
            continue
        x, y = left + wide * (i + 0.5), top - 8
        turn = f' transform="rotate(-38 {x:.1f} {y:.1f})"' if slanted else ""
        anchor = "start" if slanted else "middle"
        parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{MUTED}"{turn}>'
            f"{escape(shorten(name, 18))}{_title(f'{name}: {note}')}</text>"
        )
    ruled = set(rules)
    for j, (name, values) in enumerate(rows):
        y = top + tall * j
        parts.append(
            f'<text x="{left - 10:.1f}" y="{y + 17:.1f}" text-anchor="end" fill="{INK}">'
            f"{escape(shorten(name, 30))}{_title(name)}</text>"
        )
        for i, psi in enumerate(values):
            x = left + wide * i
            shown = "no rows" if psi is None else f"PSI {psi:.4f}"
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{wide - 2:.1f}" height="{tall - 2}" '
                f'rx="3" fill="{psi_colour(psi)}">{_title(f"{name}, {columns[i][0]}: {shown}")}</rect>'
            )
            if numbers and psi is not None:
                ink = "#ffffff" if psi >= 0.4 else INK
                text = f"{psi:.2f}" if psi < 10 else f"{psi:.0f}"
                parts.append(
                    f'<text x="{x + wide / 2:.1f}" y="{y + 17:.1f}" text-anchor="middle" '
                    f'fill="{ink}" class="number" pointer-events="none">{text}</text>'
                )
        if j in ruled:
            parts.append(_line(4, y + tall, left + wide * len(columns), y + tall, "#9aa5b1"))
    return "".join([*parts, "</svg>"])


def psi_legend() -> str:
    """The scale of the heat map with the field's conventional levels."""
    width, left = 520.0, 8.0
    # The scale is not linear: each stop gets equal room, since most of the news is below 0.25.
    places = {value: left + width * i / (len(STOPS) - 1) for i, (value, _) in enumerate(STOPS)}
    stops = "".join(
        f'<stop offset="{i / (len(STOPS) - 1):.2f}" stop-color="{psi_colour(value)}"/>'
        for i, (value, _) in enumerate(STOPS)
    )
    parts = [
        _open(width + 50, 56, "Scale of PSI: stable below 0.1, moderate to 0.25, major above"),
        f'<defs><linearGradient id="psi">{stops}</linearGradient></defs>',
        f'<rect x="{left}" y="20" width="{width}" height="12" rx="3" fill="url(#psi)"/>',
    ]
    for value, x in places.items():
        mark = "1 and more" if value == 1.0 else f"{value:g}"
        parts.append(f'<text x="{x:.1f}" y="48" text-anchor="middle" fill="{MUTED}">{mark}</text>')
    spans = (
        ("stable", places[0.0], places[0.1]),
        ("moderate", places[0.1], places[0.25]),
        ("major", places[0.25], places[1.0]),
    )
    for name, start, end in spans:
        parts.append(
            f'<text x="{(start + end) / 2:.1f}" y="13" text-anchor="middle" fill="{INK}">{name}</text>'
        )
        if name != "major":
            parts.append(_line(end, 3, end, 36, INK))
    return "".join([*parts, "</svg>"])


def bars(
    cells: Sequence[tuple[str, float, float]],
    *,
    width: float = 276,
    height: float = 128,
    top: float | None = None,
    names: bool = True,
) -> str:
    """Shares of baseline and live side by side, one pair a cell.

    Args:
        cells: a name and the shares of baseline and live.
        width: pixels.
        height: pixels of the bars' room.
        top: the share at the top, to compare charts; the greatest share when not given.
        names: write the cells' names below.
    """
    count = max(len(cells), 1)
    most = top or max((max(p, q) for _, p, q in cells), default=0.0) or 1.0
    left, right = 34.0, 6.0
    wide = (width - left - right) / count
    longest = max((len(shorten(name, 16)) for name, _, _ in cells), default=0)
    flat = longest * CHARACTER * 0.85 <= wide - 7
    room = 0.0 if not names else 18 if flat else 8 + longest * CHARACTER * 0.66
    parts = [_open(width, height + room + 12, "Shares of baseline and live by cell")]
    for share in (0.0, most / 2, most):
        y = 8 + (height - 8) * (1 - share / most)
        parts.append(_line(left, y, width - right, y, GRID))
        parts.append(
            f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end" fill="{MUTED}" class="small">'
            f"{_percent(share, most)}</text>"
        )
    for i, (name, p, q) in enumerate(cells):
        x = left + wide * i
        note = _title(f"{name}: baseline {p:.2%}, live {q:.2%}")
        for share, colour, at in ((p, BASELINE, 0.12), (q, LIVE, 0.5)):
            tall = (height - 8) * min(share / most, 1.0)
            parts.append(
                f'<rect x="{x + wide * at:.1f}" y="{height - tall:.1f}" width="{wide * 0.38:.1f}" '
                f'height="{tall:.1f}" fill="{colour}">{note}</rect>'
            )
        if names:
            cx, cy = x + wide / 2, height + 13
            turn = "" if flat else f' transform="rotate(-42 {cx:.1f} {cy:.1f})"'
            anchor = "middle" if flat else "end"
            parts.append(
                f'<text x="{cx:.1f}" y="{cy:.1f}" text-anchor="{anchor}" fill="{MUTED}" '
                f'class="small"{turn}>{escape(shorten(name, 16))}{_title(name)}</text>'
            )
    return "".join([*parts, "</svg>"])


def lines(
    points: Sequence[tuple[str, float | None]],
    reference: float | None,
    *,
    width: float = 920,
    height: float = 170,
) -> str:
    """One figure through the windows, with the baseline's as a dashed line.

    Args:
        points: a window's name and its figure.
        reference: the baseline's figure.
        width: pixels.
        height: pixels of the chart's room.
    """
    known = [value for _, value in points if value is not None]
    known += [] if reference is None else [reference]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    margin = (high - low) * 0.15 or abs(high) * 0.1 or 1.0
    low, high = low - margin, high + margin
    left, right = 64.0, 96.0
    step = (width - left - right) / max(len(points) - 1, 1)

    def at(value: float) -> float:
        return 8 + (height - 8) * (1 - (value - low) / (high - low))

    parts = [_open(width, height + 30, "The mean through the windows")]
    for i in range(4):
        value = low + (high - low) * (i + 0.5) / 4
        parts.append(_line(left, at(value), width - right, at(value), GRID))
        parts.append(
            f'<text x="{left - 8}" y="{at(value) + 4:.1f}" text-anchor="end" fill="{MUTED}">'
            f"{_figure(value)}</text>"
        )
    if reference is not None:
        y = at(reference)
        parts.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="{MUTED}" '
            f'stroke-width="1.5" stroke-dasharray="5 4"/><text x="{width - right + 8}" '
            f'y="{y + 4:.1f}" fill="{MUTED}">baseline</text>'
        )
    path = ""
    pen = "M"
    for i, (name, point) in enumerate(points):
        x = left + step * i
        if point is None:
            pen = "M"
            continue
        path += f"{pen}{x:.1f} {at(point):.1f}"
        pen = "L"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{at(point):.1f}" r="4" fill="{LIVE}">'
            f"{_title(f'{name}: {_figure(point)}')}</circle>"
        )
    parts.append(f'<path d="{path}" fill="none" stroke="{LIVE}" stroke-width="2"/>')
    every = max(1, -(-len(points) * 96 // int(width - left - right)))
    for i, (name, _) in enumerate(points):
        if i % every == 0:
            parts.append(
                f'<text x="{left + step * i:.1f}" y="{height + 22:.1f}" text-anchor="middle" '
                f'fill="{MUTED}">{escape(shorten(name, 14))}</text>'
            )
    return "".join([*parts, "</svg>"])


def intervals(
    rows: Sequence[tuple[str, float | None, tuple[float, float], bool, str]],
    threshold: float,
) -> str:
    """Shares with their intervals, one below the other, and a threshold.

    Args:
        rows: a name, a share, the ends of its interval, whether it stands out, and a note.
        threshold: drawn as a dashed line.
    """
    left = CHARACTER * min(max((len(row[0]) for row in rows), default=0), 36) + 16
    tall, top, room = 24, 26.0, 150.0
    plot = 928 - left - room
    most = min(1.0, max([threshold * 2, *(row[2][1] for row in rows if row[3]), 0.1]) * 1.05)
    width, height = 928.0, top + tall * len(rows) + 8

    def at(share: float) -> float:
        return left + plot * min(share / most, 1.0)

    parts = [_open(width, height, "Distances with their intervals")]
    for step in range(5):
        share = most * step / 4
        parts.append(_line(at(share), top - 6, at(share), height - 6, GRID))
        parts.append(
            f'<text x="{at(share):.1f}" y="{top - 12:.1f}" text-anchor="middle" fill="{MUTED}" '
            f'class="small">{share:.0%}</text>'
        )
    for j, (name, found, (low, high), stands_out, note) in enumerate(rows):
        y = top + tall * (j + 0.5)
        colour = "#b02a30" if stands_out else MUTED
        shown = f"{name}: {low:.2%} to {high:.2%}"
        parts.append(
            f'<text x="{left - 10:.1f}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">'
            f"{escape(shorten(name, 36))}{_title(name)}</text>"
            f'<line x1="{at(low):.1f}" y1="{y:.1f}" x2="{at(high):.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="3">{_title(shown)}</line>'
        )
        if high > most:
            tip = at(most)
            parts.append(
                f'<path d="M{tip:.1f} {y - 5:.1f}l6 5l-6 5z" fill="{colour}">{_title(shown)}</path>'
            )
        if found is not None:
            parts.append(
                f'<circle cx="{at(found):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}">'
                f"{_title(f'{name}: {found:.2%}')}</circle>"
            )
        parts.append(
            f'<text x="{left + plot + 14:.1f}" y="{y + 4:.1f}" fill="{colour}" class="small">'
            f"{escape(note)}</text>"
        )
    x = at(threshold)
    parts.append(
        f'<line x1="{x:.1f}" y1="{top - 6:.1f}" x2="{x:.1f}" y2="{height - 6:.1f}" stroke="{INK}" '
        'stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    return "".join([*parts, "</svg>"])


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(label)}">'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="1"/>'
    )


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _percent(share: float, most: float) -> str:
    return f"{share:.0%}" if most >= 0.05 else f"{share:.1%}"


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
