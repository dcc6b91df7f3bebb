"""The parts of a timestamp."""

from __future__ import annotations

from typing import Generic, TypeVar

from tidegate.features.tree import Tree

__all__ = ["DatePart"]

E = TypeVar("E", bound=Tree)


class DatePart(Generic[E]):
    """The parts of a timestamp, in UTC: `col("departure").dt.hour()`.

    Each gives a number, and missing for a missing time.
    """

    __slots__ = ("_input",)

    def __init__(self, expression: E) -> None:
        self._input = expression

    def _part(self, part: str) -> E:
        return self._input._apply("dt", part=part)

    def year(self) -> E:
        """The year."""
        return self._part("year")

    def quarter(self) -> E:
        """The quarter, 1 to 4."""
        return self._part("quarter")

    def month(self) -> E:
        """The month, 1 to 12."""
        return self._part("month")

    def day(self) -> E:
        """The day of the month, 1 to 31."""
        return self._part("day")

    def day_of_year(self) -> E:
        """The day of the year, 1 to 366."""
        return self._part("day_of_year")

    def weekday(self) -> E:
        """The day of the week; Monday is 0."""
        return self._part("weekday")

    def hour(self) -> E:
        """The hour, 0 to 23."""
        return self._part("hour")

    def minute(self) -> E:
        """The minute, 0 to 59."""
        return self._part("minute")

    def second(self) -> E:
        """The whole second, 0 to 59."""
        return self._part("second")

    def epoch(self) -> E:
        """Seconds since 1970, with their fraction."""
        return self._part("epoch")
