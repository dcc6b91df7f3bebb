"""What a gate is: a test that a candidate must pass to get more traffic."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.segments import MOST_SEGMENTS, by_segment
from tidegate.routing.gates.verdict import Verdict
from tidegate.routing.plan import Observe
from tidegate.types import Json

__all__ = ["Gate"]

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
RESERVED: Final = frozenset({"and", "or", "not"})

EVERY: Final = "*"
"""Stands for all segments that turn up."""


@dataclass(frozen=True, kw_only=True)
class Gate(ABC):
    """A test with a margin.

    Attributes:
        name: Unique within a plan; the kind by default.
        segments: `None` to look at all requests at once; else every segment must pass on its own:
            those named, or all that turn up where none is.
    """

    name: str = ""
    segments: tuple[str, ...] | None = None

    kind: ClassVar[str]
    """How documents name it."""

    divisible: ClassVar[bool] = True
    """Whether it can be looked at by segment."""

    stages: ClassVar[frozenset[Stage]] = frozenset({"split"})
    """Where it has something to say."""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)
        if not NAME.match(self.name) or self.name in RESERVED:
            raise InputError(
                f"gate {self.name[:40]!r}: name it with up to 64 letters, digits, '_', '.' and '-', "
                "beginning with a letter, and not 'and', 'or' or 'not'"
            )
        if self.segments is not None and not self.divisible:
            raise InputError(
                f"gate {self.name!r}: {self.kind} is not counted by segment: take segments out"
            )

    def check(self, material: Material, budget: Budget) -> Verdict:
        """What the gate says; to be asked as often as one likes.

        Args:
            material: What was counted so far in this step.
            budget: The chances of being wrong that this gate may use up in this step.
        """
        if self.segments is None:
            return self.judge(material, budget)
        return by_segment(self.name, self.segments, material, budget, self.judge)

    @abstractmethod
    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""

    def suits(self, stage: Stage) -> bool:
        """Whether it has something to say in such a step."""
        return stage in self.stages

    def observed(self, observe: Observe) -> Observe:
        """What must be counted for it, beside what is counted already.

        Raises:
            InputError: If it needs what cannot be counted without being told more.
        """
        if self.segments is not None and observe.segment is None:
            raise InputError(
                f"gate {self.name!r} is by segment, and observe.segment names no column: name one"
            )
        return observe

    @abstractmethod
    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""

    @classmethod
    @abstractmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys, as arguments of the class."""

    def to_document(self) -> dict[str, Json]:
        """The gate as JSON."""
        segments: Json = None if self.segments is None else list(self.segments) or [EVERY]
        document = {"kind": self.kind, "name": self.name, **self.keys(), "segments": segments}
        return {key: value for key, value in document.items() if value is not None}

    @classmethod
    def read(cls, table: Table) -> Self:
        """Reads a gate of this kind from a table whose `kind` is taken."""
        name = table.text("name", cls.kind)
        table.place = f"gate {name[:40]!r}"
        gate = cls(name=name, segments=_segments(table), **cls.take(table))
        table.done()
        return gate


def _segments(table: Table) -> tuple[str, ...] | None:
    """`["*"]` for all segments, or the names of some."""
    names = table.texts("segments")
    if names == (EVERY,):
        return ()
    if EVERY in names or len(set(names)) != len(names) or len(names) > MOST_SEGMENTS:
        raise table.wrong(
            f'segments is {list(names)}: give ["{EVERY}"] for all, or up to {MOST_SEGMENTS} names, each once'
        )
    return names or None
