"""`check.json`: what a bundle requires of itself before it may go live."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from tidegate.configuration.duration import seconds
from tidegate.configuration.size import size
from tidegate.errors import InputError, StateError, TidegateError
from tidegate.storage.canonical import decode, encode
from tidegate.types import Json

__all__ = ["CHECK_FILE", "LIMITS", "MARGINS", "Requirements"]

VERSION: Final = 1
"""The newest format of the file that this tidegate reads and the one that it writes."""

CHECK_FILE: Final = "check.json"

MAX_GROUPS: Final = 16
"""Most columns of groups."""

LIMITS: Final[Mapping[str, float]] = {
    "flips": 0.10,
    "four_fifths": 0.80,
    "odds": 0.10,
    "parity": 0.10,
    "perturbation": 0.05,
    "psi": 0.25,
}
"""What may be limited, and the limit where nothing is said.

`psi` and `flips` (share of rows with another label) are between champion and candidate;
`perturbation` is the mean move of a prediction when one column moves by 1 %; `parity` and `odds`
are the greatest differences between groups, and `four_fifths` the least ratio of their selection rates.
"""

MARGINS: Final[Mapping[str, float]] = {
    "accuracy": 0.005,
    "auc": 0.005,
    "brier": 0.005,
    "calibration_error": 0.01,
    "log_loss": 0.01,
    "mae": 0.01,
    "rmse": 0.01,
}
"""How much worse than the champion counts as no worse, where nothing is said; those of `mae` and
`rmse` are shares of the champion's error, the others are absolute."""

_KEYS: Final = {
    "groups",
    "holdout",
    "label",
    "latency",
    "limits",
    "margins",
    "memory",
    "positive",
    "version",
}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What `tidegate check` holds a bundle against.

    Attributes:
        holdout: the address of a table with labels that the model was not trained on.
        label: its column of labels.
        groups: its columns by whose values predictions must not be biased.
        positive: the class whose share is compared between groups; by default the last.
        latency: 99 of 100 single predictions take at most so many seconds; `"20ms"` is read too.
        memory: the loaded model takes at most so many bytes; `"500MB"` is read too.
        limits: other limits than those of `LIMITS`.
        margins: other margins than those of `MARGINS`.

    Raises:
        InputError: a limit or margin is unknown or no share, or a budget is not positive.

    Example:
        >>> Requirements(latency="20ms", margins={"auc": 0.01}).margin("auc")
        0.01
        >>> Requirements(limits={"pis": 0.3})
        Traceback (most recent call last):
            ...
        tidegate.errors.InputError: limit 'pis' is none of flips, four_fifths, odds, ...
    """

    holdout: str | None = None
    label: str | None = None
    groups: tuple[str, ...] = ()
    positive: int | str | None = None
    latency: str | float | None = None
    memory: str | int | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "latency", seconds(self.latency))
        object.__setattr__(self, "memory", size(self.memory))
        if len(self.groups) > MAX_GROUPS:
            raise InputError(f"{len(self.groups)} columns of groups: name at most {MAX_GROUPS}")
        for what, budget in (("latency", self.latency), ("memory", self.memory)):
            if budget is not None and not 0 < float(budget) < math.inf:
                raise InputError(f"a {what} budget of {budget}: use one above 0")
        for kind, given, known in (
            ("limit", self.limits, LIMITS),
            ("margin", self.margins, MARGINS),
        ):
            for name, value in given.items():
                if name not in known:
                    raise InputError(f"{kind} {name!r} is none of {', '.join(known)}")
                if not 0 <= value < math.inf:
                    raise InputError(f"{kind} {name} is {value}: use 0 or more")

    @property
    def latency_seconds(self) -> float | None:
        """The budget of latency."""
        return seconds(self.latency)

    @property
    def memory_bytes(self) -> int | None:
        """The budget of memory."""
        return size(self.memory)

    def limit(self, name: str) -> float:
        """The limit of this name, said or not."""
        return self.limits.get(name, LIMITS[name])

    def margin(self, name: str) -> float:
        """The margin of this measure, said or not."""
        return self.margins.get(name, MARGINS[name])

    def over(self, before: Self) -> Self:
        """What was said before, with what is said here instead where anything is."""
        said: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(before, each.name)
            if isinstance(mine, Mapping):
                said[each.name] = {**theirs, **mine}
            else:
                said[each.name] = theirs if mine in (None, ()) else mine
        return type(self)(**said)

    def to_json(self) -> bytes:
        """The canonical bytes of the file."""
        document: dict[str, Json] = {
            "groups": list(self.groups),
            "holdout": self.holdout,
            "label": self.label,
            "latency": self.latency,
            "limits": dict(self.limits),
            "margins": dict(self.margins),
            "memory": self.memory,
            "positive": self.positive,
            "version": VERSION,
        }
        return encode(document)

    @classmethod
    def parse(cls, data: bytes, *, place: str = CHECK_FILE) -> Self:
        """Reads the file, of this or any earlier version.

        Raises:
            StateError: the bytes are no such file, or of a later version.
        """
        document: dict[str, Any] = decode(data, place, keys=_KEYS, newest=VERSION)
        del document["version"]
        try:
            return cls(**document)
        except (TidegateError, TypeError, AttributeError) as error:
            raise StateError(f"{place} is not what a bundle requires ({error})") from error
