"""Further charts as SVG text: figures with intervals, calibration, ranges of latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from tidegate.monitoring.svg import CHARACTER, GRID, INK, LIVE, MUTED, shorten

__all__ = ["intervals", "ranges", "reliability"]

BAND: Final = "#cfe0f1"
BADGE: Final = "#9db8d3"

Point = tuple[str, float | None, tuple[float, float] | None]
"""A name, its figure, and the interval around it."""

LABEL_LENGTH: Final = 13
SMALL: Final = 0.85
"""How wide small letters are beside others."""


def intervals(
    points: Sequence[Point],
    *,
    label: str,
    beside: Sequence[float | None] = (),
    width: float = 440,
    height: float = 130,
) -> str:
    """A figure through time with the interval of each.

    Args:
        points: In order; those without a figure leave a gap.
        label: What it is, for those who cannot see it.
        beside: What was expected at each point: a dashed line.
        width: Pixels.
        height: Pixels of the chart's room.

    Example:
        >>> chart = intervals([("a", 0.8, (0.7, 0.9)), ("b", None, None)], label="accuracy")
        >>> chart.count("<circle")
        1
    """
    known = [value for _, value, _ in points if value is not None]
    known += [edge for _, _, span in points if span is not None for edge in span]
    known += [value for value in beside if value is not None]
    known = [value for value in known if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    margin = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    low, high = low - margin, high + margin
    left, right = 58.0, 14.0
    step = (width - left - right) / max(len(points) - 1, 1)

    def at(value: float) -> float:
        return 8 + (height - 8) * (1 - (min(max(value, low), high) - low) / (high - low))

    parts = [_open(width, height + 26, label)]
    for i in range(3):
        value = low + (high - low) * (i + 0.5) / 3
        parts.append(
            f'<line x1="{left}" y1="{at(value):.1f}" x2="{width - right}" y2="{at(value):.1f}" '
            f'stroke="{GRID}"/><text x="{left - 7}" y="{at(value) + 4:.1f}" text-anchor="end" '
            f'fill="{MUTED}" class="small">{_figure(value)}</text>'
        )
    path, pen = "", "M"
    for i, (name, figure, span) in enumerate(points):
        x = left + step * i if len(points) > 1 else (left + width - right) / 2
        if span is not None and all(math.isfinite(edge) for edge in span):
            parts.append(
                f'<rect x="{x - 5:.1f}" y="{at(span[1]):.1f}" width="10" rx="3" '
                f'height="{max(at(span[0]) - at(span[1]), 1):.1f}" fill="{BAND}"/>'
            )
        if figure is None:
            pen = "M"
            continue
        said = f"{name}: {_figure(figure)}"
        said += f" ({_figure(span[0])} to {_figure(span[1])})" if span is not None else ""
        path += f"{pen}{x:.1f} {at(figure):.1f}"
        pen = "L"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{at(figure):.1f}" r="3.5" fill="{LIVE}">'
            f"<title>{escape(said)}</title></circle>"
        )
    parts.append(f'<path d="{path}" fill="none" stroke="{LIVE}" stroke-width="1.8"/>')
    if expected := _line([None if value is None else at(value) for value in beside], left, step):
        parts.append(
            f'<path d="{expected}" fill="none" stroke="{INK}" stroke-dasharray="5 3" '
            'stroke-width="1.3"/>'
        )
    every = max(1, -(-len(points) * 80 // int(width - left - right)))
    for i, (name, _, _) in enumerate(points):
        if i % every == 0:
            x = left + step * i if len(points) > 1 else (left + width - right) / 2
            shown = shorten(name, LABEL_LENGTH)
            # The last one ends with the chart instead of being cut off by it.
            x = min(x, width - len(shown) * CHARACTER * SMALL / 2)
            parts.append(
                f'<text x="{x:.1f}" y="{height + 19:.1f}" text-anchor="middle" fill="{MUTED}" '
                f'class="small">{escape(shown)}</text>'
            )
    return "".join([*parts, "</svg>"])


def _line(heights: Sequence[float | None], left: float, step: float) -> str:
    """A path through the points that have a height."""
    path, pen = "", "M"
    for i, height in enumerate(heights):
        if height is None:
            pen = "M"
            continue
        path += f"{pen}{left + step * i:.1f} {height:.1f}"
        pen = "L"
    return path


def reliability(bins: Sequence[tuple[float, float, float]], *, size: float = 240) -> str:
    """Calibration: how often what was predicted came true, beside a line of perfection.

    Args:
        bins: Mean probability, observed rate and rows of each bin.
        size: Pixels.

    Example:
        >>> reliability([(0.1, 0.2, 50.0), (0.9, 0.8, 50.0)]).count("<circle")
        2
    """
    left, room = 40.0, size - 56
    most = max((rows for _, _, rows in bins), default=1.0) or 1.0

    def x(value: float) -> float:
        return left + room * value

    def y(value: float) -> float:
        return 10 + room * (1 - value)

    parts = [_open(size, size, "Observed rate by predicted probability")]
    parts += [
        f'<line x1="{x(0):.1f}" y1="{y(value):.1f}" x2="{x(1):.1f}" y2="{y(value):.1f}" '
        f'stroke="{GRID}"/>'
        f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{MUTED}" '
        f'class="small">{value:g}</text>'
        f'<text x="{x(value):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle" fill="{MUTED}" '
        f'class="small">{value:g}</text>'
        for value in (0.0, 0.5, 1.0)
    ]
    parts.append(
        f'<line x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}" stroke="{MUTED}" '
        'stroke-dasharray="5 4"/>'
    )
    path = "".join(
        f"{'L' if i else 'M'}{x(p):.1f} {y(rate):.1f}" for i, (p, rate, _) in enumerate(bins)
    )
    parts.append(f'<path d="{path}" fill="none" stroke="{LIVE}" stroke-width="1.5"/>')
    for probability, rate, rows in bins:
        radius = 2.5 + 5 * math.sqrt(rows / most)
        said = f"predicted {probability:.3f}, came true {rate:.3f}, {rows:,.0f} rows"
        parts.append(
            f'<circle cx="{x(probability):.1f}" cy="{y(rate):.1f}" r="{radius:.1f}" fill="{LIVE}" '
            f'fill-opacity="0.75"><title>{escape(said)}</title></circle>'
        )
    parts.append(
        f'<text x="{x(0.5):.1f}" y="{size - 8:.1f}" text-anchor="middle" fill="{INK}" '
        'class="small">predicted probability</text>'
    )
    return "".join([*parts, "</svg>"])


def ranges(rows: Sequence[tuple[str, float, float, float, float]], *, width: float = 920) -> str:
    """Times on a logarithmic scale: median to the 99th percentile, with the mean.

    Args:
        rows: A name, then mean, median, 95th and 99th percentile in seconds.
        width: Pixels.

    Example:
        >>> ranges([("total", 0.002, 0.001, 0.004, 0.009)]).count("<rect")
        2
    """
    left = CHARACTER * min(max((len(name) for name, *_ in rows), default=0), 34) + 18
    right, tall = 20.0, 28
    known = [value for _, *values in rows for value in values if value > 0] or [1e-3]
    low = 10 ** math.floor(math.log10(min(known)))
    high = 10 ** math.ceil(math.log10(max(known)))
    high = high if high > low else low * 10
    decades = math.log10(high / low)

    def x(value: float) -> float:
        share = math.log10(max(value, low) / low) / decades
        return left + (width - left - right) * share

    height = tall * len(rows)
    parts = [_open(width, height + 34, "Time by stage, from the median to the 99th percentile")]
    for i in range(round(decades) + 1):
        edge = low * 10**i
        parts.append(
            f'<line x1="{x(edge):.1f}" y1="4" x2="{x(edge):.1f}" y2="{height + 6}" stroke="{GRID}"/>'
            f'<text x="{x(edge):.1f}" y="{height + 24}" text-anchor="middle" fill="{MUTED}" '
            f'class="small">{_time(edge)}</text>'
        )
    for j, (name, mean, p50, p95, p99) in enumerate(rows):
        y = 6 + tall * j
        said = f"{name}: mean {_time(mean)}, p50 {_time(p50)}, p95 {_time(p95)}, p99 {_time(p99)}"
        parts.append(
            f'<text x="{left - 10:.1f}" y="{y + 15}" text-anchor="end" fill="{INK}">'
            f"{escape(shorten(name, 34))}</text>"
            f'<rect x="{x(p50):.1f}" y="{y + 6}" width="{max(x(p99) - x(p50), 2):.1f}" height="9" '
            f'rx="4" fill="{BAND}"><title>{escape(said)}</title></rect>'
            f'<rect x="{x(p50):.1f}" y="{y + 6}" width="{max(x(p95) - x(p50), 2):.1f}" height="9" '
            f'rx="4" fill="{BADGE}"><title>{escape(said)}</title></rect>'
        )
        if mean > 0:
            parts.append(
                f'<circle cx="{x(mean):.1f}" cy="{y + 10.5}" r="4" fill="{LIVE}">'
                f"<title>{escape(said)}</title></circle>"
            )
    return "".join([*parts, "</svg>"])


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(label)}">'
    )


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
