"""The parts of a timestamp."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from tidegate.errors import InputError
from tidegate.features.tree import Tree, operand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.types import Json

__all__ = ["DatePart"]

E = TypeVar("E", bound=Tree)


class DatePart(Generic[E]):
    """The parts of a timestamp, in UTC: `col("departure").dt.hour()`.

    Each gives a number, and missing for a missing time.
    """

    __slots__ = ("_input", "_instant")

    def __init__(self, expression: E, instant: E | None = None) -> None:
        self._input = expression
        self._instant = expression if instant is None else instant

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

    def millisecond(self) -> E:
        """The whole milliseconds of the second, 0 to 999."""
        return self._part("millisecond")

    def microsecond(self) -> E:
        """The microseconds of the second, 0 to 999,999."""
        return self._part("microsecond")

    def week(self) -> E:
        """The week of ISO 8601, 1 to 53."""
        return self._part("week")

    def iso_year(self) -> E:
        """The year that the week of ISO 8601 belongs to."""
        return self._part("iso_year")

    def days_in_month(self) -> E:
        """How many days the month has."""
        return self._part("days_in_month")

    def is_weekend(self) -> E:
        """1 on Saturdays and Sundays, else 0."""
        return self._part("is_weekend")

    def is_month_start(self) -> E:
        """1 on the first day of a month, else 0."""
        return self._part("is_month_start")

    def is_month_end(self) -> E:
        """1 on the last day of a month, else 0."""
        return self._part("is_month_end")

    def is_leap_year(self) -> E:
        """1 in a year with a 29th of February, else 0."""
        return self._part("is_leap_year")

    def epoch(self) -> E:
        """Seconds since 1970 UTC, with their fraction, in whatever zone."""
        return self._instant._apply("dt", part="epoch")

    def in_zone(self, zone: str) -> DatePart[E]:
        """The parts of the time that the clocks of a zone show.

        Args:
            zone: a name of the IANA database, which tidegate brings along.

        >>> from tidegate.features import col
        >>> local = col("departure").dt.in_zone("America/New_York")
        >>> features = [local.hour(), local.is_weekend()]
        """
        return DatePart(self._instant._apply("in_zone", zone=zone), self._instant)

    def since(
        self,
        other: E | datetime,
        *,
        unit: Literal[
            "microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks"
        ] = "days",
    ) -> E:
        """The time that has passed since another, with its fraction.

        Args:
            other: the earlier time: another expression, or a `datetime` (UTC without a zone).
            unit: what is counted.

        >>> from tidegate.features import col
        >>> age = col("departure").dt.since(col("built"), unit="weeks")
        """
        tree: dict[str, Json] = {"op": "since", "unit": unit}
        tree["input"], tree["from"] = self._instant.to_dict(), operand(other)
        return type(self._instant)(tree)

    def is_holiday(self, dates: Iterable[date | str]) -> E:
        """1 on one of some days, else 0.

        Args:
            dates: the days, as `date` or as text `"2013-12-25"`; at most 100,000.

        >>> from tidegate.features import col
        >>> free = col("departure").dt.in_zone("Europe/Berlin").is_holiday(["2013-12-25"])
        """
        return self._input._apply("is_holiday", dates=_days(dates))

    def days_to_holiday(self, dates: Iterable[date | str]) -> E:
        """How many days it is to the next of some days, 0 on one; missing after the last.

        Args:
            dates: the days, as for `is_holiday`.
        """
        return self._input._apply("days_to_holiday", dates=_days(dates))


def _days(dates: Iterable[date | str]) -> list[Json]:
    days: list[Json] = []
    for day in dates:
        if isinstance(day, datetime) or not isinstance(day, date | str):
            raise InputError(f"{day!r} is no date: use datetime.date, or a text as '2013-12-25'")
        days.append(day if isinstance(day, str) else day.isoformat())
    return days
