"""What is said of watching: windows, what they are compared with, and what an alarm is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, Self

from tidegate.errors import InputError, StateError
from tidegate.types import Json, JsonObject

__all__ = ["Said", "Watching"]

_TRAILING: Final = re.compile(r"trailing:([1-9][0-9]{0,3})")


class Said(NamedTuple):
    """The same as the core takes it."""

    rows: int | None
    seconds: float | None
    aligned: bool | None
    lateness: float | None
    sliding: int | None
    half_life: float | None
    trailing: int | None
    alpha: float | None
    tolerance: float | None
    ignore: list[str] | None
    segment: str | None
    own_segment: str | None
    baseline: str | None


@dataclass(frozen=True, slots=True)
class Watching:
    """Windows of observations, what they are compared with, and what an alarm is.

    Attributes:
        rows: A window closes after so many rows.
        seconds: A window closes after so many seconds.
        aligned: Windows begin at whole multiples of `seconds` since 1970, so that those of several
            replicas add up.
        lateness: Seconds that a window whose time is over waits for rows of its time.
        sliding: The report's sliding window holds so many closed windows, and moves on by one with
            each; 1 for none.
        half_life: The report's decayed view halves the weight of a row in so many seconds; no such
            view by default.
        reference: What windows are compared with: `"baseline"`, `"trailing:6"` for the six windows
            before each, or another version of the model, such as `"1.2.0"`, for its baseline.
        alpha: The share of alarms that may be false, and the chance that there is ever one while
            nothing changes.
        tolerance: The distance from the reference that is harmless: the share of rows that would
            have to move to another cell.
        ignore: Columns that raise no alarm, such as the hour of the day.
        segment: The feature (texts, whole numbers or bools) by whose values drift and quality are told
            apart. Named for all models, it is passed over by those that have no such column, which
            keep the one that their bundle names.

    Raises:
        InputError: The reference cannot be read.

    Example:
        >>> Watching(seconds=60, reference="trailing:6").over(Watching(rows=500)).rows
        500
    """

    rows: int | None = None
    seconds: float | None = None
    aligned: bool | None = None
    lateness: float | None = None
    sliding: int | None = None
    half_life: float | None = None
    reference: str | None = None
    alpha: float | None = None
    tolerance: float | None = None
    ignore: tuple[str, ...] | None = None
    segment: str | None = None

    def __post_init__(self) -> None:
        word = self.reference
        if word is not None and word.startswith("trailing") and not _TRAILING.fullmatch(word):
            raise InputError(
                f"reference {word!r}: use baseline, trailing:N with N windows, or a version"
            )

    def over(self, before: Self | None) -> Self:
        """What was said before, with what is said here instead where anything is."""
        if before is None:
            return self
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(
            **{
                name: getattr(before, name) if value is None else value
                for name, value in said.items()
            }
        )

    def to_document(self) -> JsonObject:
        """What is said, as JSON: what a bundle's manifest holds.

        Example:
            >>> Watching(rows=500, ignore=("hour",)).to_document()
            {'rows': 500, 'ignore': ['hour']}
        """
        said: dict[str, Json] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None:
                said[entry.name] = list(value) if isinstance(value, tuple) else value
        return said

    @classmethod
    def from_document(cls, document: JsonObject) -> Self:
        """Reads what `to_document` wrote.

        Raises:
            StateError: It says something that this tidegate does not know.

        Example:
            >>> Watching.from_document({"rows": 500, "ignore": ["hour"]}).ignore
            ('hour',)
        """
        unknown = document.keys() - {entry.name for entry in fields(cls)}
        if unknown:
            raise StateError(
                f"watching has the unknown key {min(unknown)!r}: upgrade tidegate, or build the "
                "bundle again"
            )
        said: dict[str, Any] = dict(document)
        if isinstance(said.get("ignore"), list):
            said["ignore"] = tuple(said["ignore"])
        return cls(**said)

    @property
    def version(self) -> str | None:
        """The version whose baseline is compared with, if it is another's."""
        if self.reference in (None, "baseline") or self.trailing:
            return None
        return self.reference

    @property
    def trailing(self) -> int | None:
        """How many windows before each one it is compared with; `None` where nothing was said."""
        if self.reference is None:
            return None
        match = _TRAILING.fullmatch(self.reference)
        return int(match[1]) if match else 0

    def said(self, baseline: str | None = None, own_segment: str | None = None) -> Said:
        """The same as the core takes it.

        Args:
            baseline: The `baseline.json` of the version that is compared with.
            own_segment: The segment that the bundle names, where no other is named that the model has.
        """
        return Said(
            self.rows,
            self.seconds,
            self.aligned,
            self.lateness,
            self.sliding,
            self.half_life,
            self.trailing,
            self.alpha,
            self.tolerance,
            None if self.ignore is None else list(self.ignore),
            self.segment,
            own_segment,
            baseline,
        )
