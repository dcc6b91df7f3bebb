"""What differs between two sets of rules, small enough to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.types import Json

__all__ = ["RuleChange", "RulesDiff"]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One difference.

    Attributes:
        sign: `+` for what came, `-` for what went, `~` for what is another.
        name: the rule's name, or `schema`.
        text: what it says now, or said.
        before: what it said before, where it is another.
    """

    sign: Literal["+", "-", "~"]
    name: str
    text: str
    before: str = ""

    def to_dict(self) -> dict[str, Json]:
        """The difference as JSON."""
        return {"sign": self.sign, "name": self.name, "text": self.text, "before": self.before}

    def __str__(self) -> str:
        was = f"{self.before} -> " if self.before else ""
        return f"{self.sign} {self.name}: {was}{self.text}"


@dataclass(frozen=True, slots=True)
class RulesDiff:
    """The differences between two sets of rules; false if there is none."""

    changes: tuple[RuleChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> Iterator[RuleChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self.changes)
