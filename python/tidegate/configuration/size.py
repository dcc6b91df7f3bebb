"""Sizes as people write them."""

from __future__ import annotations

import re
from typing import Final, overload

from tidegate.errors import InputError

__all__ = ["size"]

_UNITS: Final = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb|kib|mib|gib)\s*", re.IGNORECASE)


@overload
def size(text: str | int) -> int: ...
@overload
def size(text: str | int | None) -> int | None: ...
def size(text: str | int | None) -> int | None:
    """Read a size: a number of bytes, or a text with a unit (B, kB, MB, GB, KiB, MiB, GiB).

    `None` is none.

    Raises:
        InputError: If the text is no size.

    Example:
        >>> size("500MB"), size("1.5 KiB"), size(4096)
        (500000000, 1536, 4096)
    """
    if not isinstance(text, str):
        return None if text is None else int(text)
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InputError(f"size {text!r}: give it as 500MB or 2GiB")
    return round(float(match[1]) * _UNITS[match[2].lower()])
