"""Times as people write them."""

from __future__ import annotations

import re
from typing import Final, overload

from tidegate.errors import InputError

__all__ = ["seconds"]

_UNITS: Final = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
}
_TIME: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s|m|h|d)\s*")


@overload
def seconds(time: str | float) -> float: ...
@overload
def seconds(time: str | float | None) -> float | None: ...
def seconds(time: str | float | None) -> float | None:
    """Read a time: a number of seconds, or a text with a unit (us, ms, s, m, h, d).

    `None` is none.

    Raises:
        InputError: If the text is no time.

    Example:
        >>> seconds("20ms"), seconds("1.5 s"), seconds("6h"), seconds(0.25)
        (0.02, 1.5, 21600.0, 0.25)
    """
    if not isinstance(time, str):
        return None if time is None else float(time)
    match = _TIME.fullmatch(time)
    if match is None:
        raise InputError(f"time {time!r}: give it as 500us, 20ms or 1.5s")
    return float(match[1]) * _UNITS[match[2]]
