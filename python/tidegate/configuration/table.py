"""Reading one table of a file or document: each key once, by type, and no key that nobody asks for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from tidegate.configuration.duration import seconds
from tidegate.errors import ConfigurationError, InputError, TidegateError

__all__ = ["Table"]

T = TypeVar("T")


class Table:
    """A table whose keys are taken one by one; what is left at the end is a mistake.

    Args:
        values: As TOML or JSON has them.
        place: How messages name the table.
        error: The class of what is raised.

    Example:
        >>> table = Table({"fro": "5m"}, "rule 'slow'")
        >>> table.seconds("for", 0.0)
        0.0
        >>> table.done()
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: rule 'slow': there is no key 'fro': did you mean 'for'?
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        place: str,
        error: type[TidegateError] = ConfigurationError,
    ) -> None:
        self._values = dict(values)
        self._asked: list[str] = []
        self._error = error
        self.place = place

    def wrong(self, what: str) -> TidegateError:
        """The error for something that is wrong here."""
        return self._error(f"{self.place}: {what}")

    def has(self, key: str) -> bool:
        """Whether a key is there and was not taken yet."""
        return key in self._values

    def _take(self, key: str, kind: type[T], name: str) -> T | None:
        self._asked.append(key)
        value = self._values.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise self.wrong(f"{key} is {value!r}: give it {name}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        found = self._take(key, str, "a text")
        return default if found is None else found

    def need(self, key: str) -> str:
        """A text that must be there and is not empty."""
        found = self.text(key)
        if not found.strip():
            raise self.wrong(f"{key} is missing: give it a text")
        return found

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        found = self._take(key, bool, "true or false")
        return default if found is None else found

    def number(self, key: str) -> float | None:
        """A finite number; `None` where there is none."""
        value = self._values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            self._values[key] = float(value)
        found = self._take(key, float, "a number")
        if found is not None and not math.isfinite(found):
            raise self.wrong(f"{key} is {found}: give it a finite number")
        return found

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        found = self._take(key, int, "a whole number")
        value = default if found is None else found
        if not low <= value <= high:
            raise self.wrong(f"{key} is {value}: give it a whole number from {low} to {high}")
        return value

    def bounded(self, key: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        found = self.number(key)
        value = default if found is None else found
        if not low <= value <= high:
            raise self.wrong(f"{key} is {value:g}: give it a number from {low:g} to {high:g}")
        return value

    def seconds(
        self, key: str, default: float, *, least: float = 0.0, most: float = 7 * 86_400.0
    ) -> float:
        """A time within bounds: seconds, or a text such as `"5m"`."""
        self._asked.append(key)
        value = self._values.pop(key, None)
        value = default if value is None else value
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise InputError("no time")
            found = seconds(value)
        except InputError:
            raise self.wrong(f"{key} is {value!r}: give it a time such as 30s, 5m or 6h") from None
        if not least <= found <= most:
            raise self.wrong(f"{key} is {value!r}: give it a time from {least:g} to {most:g} s")
        return found

    def some_seconds(self, key: str, *, most: float) -> float | None:
        """A time from 0 up to a bound; `None` where there is none."""
        if self._values.get(key) is None:
            self._take(key, str, "a time")
            return None
        return self.seconds(key, 0.0, most=most)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self._take(key, list, "a list of texts") or []
        if not all(isinstance(item, str) for item in found):
            raise self.wrong(f"{key} is {found!r}: give it a list of texts")
        return tuple(found)

    def numbers(self, key: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
        """A list of finite numbers."""
        found = self._take(key, list, "a list of numbers")
        if found is None:
            return default
        if not all(
            isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)
            for item in found
        ):
            raise self.wrong(f"{key} is {found!r}: give it a list of finite numbers")
        return tuple(float(item) for item in found)

    def strings(self, key: str) -> dict[str, str]:
        """A table of texts."""
        found = self._take(key, dict, "a table of texts") or {}
        if not all(isinstance(item, str) for item in found.values()):
            raise self.wrong(f"{key} is {found!r}: give it a table of texts")
        return found

    def table(self, key: str, place: str = "") -> Table | None:
        """A table within this one; `None` where there is none.

        Args:
            key: Its key.
            place: How messages name it; the key within this one by default.
        """
        found = self._take(key, dict, "a table")
        return None if found is None else Table(found, place or f"{self.place}: {key}", self._error)

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        """A list of tables."""
        found = self._take(key, list, "a list of tables") or []
        if not all(isinstance(item, dict) for item in found):
            raise self.wrong(f"{key} is {found!r}: give it a list of tables")
        return found

    def rest(self) -> dict[str, Any]:
        """Everything that was not taken yet, taken."""
        found, self._values = self._values, {}
        return found

    def done(self) -> None:
        """Raises for the first key that nobody has asked for."""
        for key in self._values:
            near = difflib.get_close_matches(key, self._asked, n=1, cutoff=0.0)
            hint = f": did you mean {near[0]!r}?" if near else ": take it out"
            raise self.wrong(f"there is no key {key!r}{hint}")
