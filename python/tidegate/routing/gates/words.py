"""Effects in words."""

from __future__ import annotations

import math

__all__ = ["number", "points", "share", "time"]


def number(value: float) -> str:
    """A number with four digits.

    Example:
        >>> number(12.34567), number(float("inf"))
        ('12.35', 'unknown')
    """
    return f"{value:.4g}" if math.isfinite(value) else "unknown"


def share(value: float) -> str:
    """A share as percent.

    Example:
        >>> share(0.0123)
        '1.23 %'
    """
    return f"{100 * value:.3g} %" if math.isfinite(value) else "unknown"


def points(value: float) -> str:
    """A difference of shares as points of percent.

    Example:
        >>> points(-0.0123)
        '-1.23 points'
    """
    return f"{100 * value:+.3g} points" if math.isfinite(value) else "unknown"


def time(value: float) -> str:
    """Seconds, or a difference of seconds.

    Example:
        >>> time(0.0123), time(2.5)
        ('12.3 ms', '2.5 s')
    """
    if not math.isfinite(value):
        return "unknown"
    return f"{1000 * value:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
