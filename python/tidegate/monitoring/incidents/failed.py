"""Rows that went wrong in a model lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["FailedRow", "failed_rows"]


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that failed in the model, or broke a rule of its bundle.

    Attributes:
        version: Of the model.
        at: When, in seconds since 1970.
        reason: What the answer said, or which rule was broken.
        row: The values by column: times as microseconds, dates as days, lists as their lengths, and
            long texts cut.
    """

    version: str
    at: float
    reason: str
    row: Mapping[str, Any]


def failed_rows(found: Iterable[tuple[str, float, str, str]]) -> list[FailedRow]:
    """Reads rows as the core gives them, the newest first.

    Args:
        found: Version, time, reason and the row as JSON.

    Example:
        >>> failed_rows([("1.0.0", 5.0, "the model failed", '{"distance":9000.0}')])[0].row
        {'distance': 9000.0}
    """
    rows = [
        FailedRow(version, at, reason, orjson.loads(text)) for version, at, reason, text in found
    ]
    return sorted(rows, key=lambda row: -row.at)
