"""Taking values out of what is kept of rows and messages, while their shape stays."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["redacted_row", "redacted_text"]

DIGITS: Final = 2
"""Significant digits of numbers that stay."""

MOST_COLUMNS: Final = 200
MOST_CHARACTERS: Final = 300

_QUOTED: Final = re.compile(r"""((?:column|rule) )?("[^"]*"|'[^']*'|`[^`]*`)""")
_NUMBER: Final = re.compile(r"\d{5,}")


def redacted_row(row: Mapping[str, Any], salt: str) -> dict[str, Any]:
    """A row without its values: numbers keep two digits, texts their length and a short digest.

    Equal texts have equal digests, so that one sees that all failing rows have the same value.

    Args:
        row: Values by column.
        salt: Mixed into the digests, so that nobody finds a text by trying; another each time.

    Example:
        >>> redacted_row({"amount": 1234.5, "name": "Ada", "age": None}, "salt")
        {'amount': 1200.0, 'name': 'text of 3 (5a05fc)', 'age': None}
    """
    return {name: _value(value, salt) for name, value in list(row.items())[:MOST_COLUMNS]}


def _value(value: Any, salt: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not math.isfinite(value) or value == 0:
            return str(value) if not math.isfinite(value) else value
        return round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))
    if isinstance(value, list | tuple):
        return f"list of {len(value)}"
    text = str(value)
    digest = hashlib.sha256(f"{salt}\x00{text}".encode()).hexdigest()[:6]
    return f"text of {len(text)} ({digest})"


def redacted_text(text: str) -> str:
    """A message without what was quoted in it, names of columns and rules apart, or long numbers.

    Example:
        >>> redacted_text('column "age": "forty" is no number')
        'column "age": "…" is no number'
    """
    short = _QUOTED.sub(_unquoted, text[:MOST_CHARACTERS])
    return _NUMBER.sub("…", short)


def _unquoted(found: re.Match[str]) -> str:
    # Which column or rule it is helps, and is no value.
    return found[0] if found[1] else f"{found[2][0]}…{found[2][-1]}"
