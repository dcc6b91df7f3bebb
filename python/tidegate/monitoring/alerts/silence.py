"""Silences: for some time nobody is told of certain alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from tidegate.errors import InputError

__all__ = ["LONGEST_SECONDS", "Silence", "silence_of"]

LONGEST_SECONDS: Final = 30 * 86_400.0
"""A silence that is longer hides what nobody remembers."""

MATCHED: Final = ("rule", "model", "version", "column", "role", "stage", "severity")
"""What a silence can match."""


@dataclass(frozen=True, slots=True)
class Silence:
    """For some time nobody is told of alerts whose labels match.

    Attributes:
        id: Its number.
        matchers: Patterns by label, where `*` stands for any characters; all must match.
        start: Seconds since 1970.
        end: The same.
        comment: Why.
        author: Who.
    """

    id: str
    matchers: Mapping[str, str]
    start: float
    end: float
    comment: str
    author: str

    def covers(self, labels: Mapping[str, str], now: float) -> bool:
        """Whether it holds for an alert at a time.

        Example:
            >>> silence = Silence("1", {"model": "flight-*"}, 0.0, 60.0, "", "")
            >>> silence.covers({"model": "flight-delay"}, 59.0)
            True
        """
        return self.start <= now < self.end and all(
            fnmatchcase(labels.get(name, ""), wanted) for name, wanted in self.matchers.items()
        )


def silence_of(document: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Checks what somebody asks for, and gives it an end.

    Args:
        document: `matchers`, `seconds` or `until`, `comment`.
        now: Seconds since 1970.

    Returns:
        `matchers`, `start`, `end`, `comment`.

    Raises:
        InputError: If it matches nothing in particular, or has no end.

    Example:
        >>> silence_of({"matchers": {"rule": "slow"}}, 0.0)
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: a silence needs an end: give seconds or until
    """
    unknown = set(document) - {"matchers", "seconds", "until", "comment"}
    if unknown:
        raise InputError(f"a silence has no key {min(unknown)!r}: use matchers, seconds, until")
    matchers = document.get("matchers")
    if not isinstance(matchers, dict) or not matchers:
        raise InputError("a silence needs matchers: give at least one, such as rule or model")
    for name, wanted in matchers.items():
        if name not in MATCHED or not isinstance(wanted, str) or not wanted:
            raise InputError(
                f"a silence cannot match {name!r}: use a text for one of {', '.join(MATCHED)}"
            )
    seconds, until = document.get("seconds"), document.get("until")
    if seconds is None and until is None:
        raise InputError("a silence needs an end: give seconds or until")
    end = until if seconds is None else seconds
    if isinstance(end, bool) or not isinstance(end, int | float):
        raise InputError(f"the end of a silence is {end!r}: give a number of seconds")
    end = float(end) if seconds is None else now + float(end)
    if not now < end <= now + LONGEST_SECONDS:
        raise InputError(
            f"a silence ends in {end - now:g} s: give it an end within the next "
            f"{LONGEST_SECONDS / 86_400:g} days"
        )
    comment = document.get("comment", "")
    if not isinstance(comment, str) or len(comment) > 1_000:
        raise InputError("the comment of a silence is no text of at most 1000 characters")
    return {"matchers": dict(matchers), "start": now, "end": end, "comment": comment}
