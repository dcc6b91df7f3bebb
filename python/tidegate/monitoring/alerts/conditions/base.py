"""What a kind of rule is: it looks at the history and says which labels are in a bad way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.exposition import Labels

__all__ = ["Condition", "Finding", "Selector", "duration"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition says about one set of labels.

    Attributes:
        labels: Of the alert.
        active: Whether the condition holds; `None` where the data does not say.
        value: What was measured.
        limit: What it is held against.
        text: Both in words.
    """

    labels: Labels
    active: bool | None
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series a rule is about: patterns of labels, where `*` stands for any characters.

    Example:
        >>> Selector((("column", "dist*"), ("model", "*"))).query()
        'column=~"dist.*"'
    """

    patterns: Labels

    @classmethod
    def take(cls, table: Table) -> Selector:
        """Reads the keys `model`, `version`, `column`, `role`, `stage` and `rule` of a rule."""
        found = {
            name: table.text(key)
            for key, name in (
                ("model", "model"),
                ("version", "version"),
                ("column", "column"),
                ("role", "role"),
                ("stage", "stage"),
                ("bundle_rule", "rule"),
            )
        }
        return cls(tuple(sorted((name, text) for name, text in found.items() if text)))

    def matches(self, labels: Labels) -> bool:
        """Whether a set of labels is meant."""
        own = dict(labels)
        return all(fnmatchcase(own.get(name, ""), wanted) for name, wanted in self.patterns)

    def query(self) -> str:
        """The same as matchers of PromQL."""
        parts = []
        for name, wanted in self.patterns:
            if wanted == "*":
                continue
            if "*" in wanted:
                pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
                parts.append(f'{name}=~"{_quoted(pattern)}"')
            else:
                parts.append(f'{name}="{_quoted(wanted)}"')
        return ",".join(parts)

    def fill(self, query: str, over: float) -> str:
        """A query with its placeholders filled."""
        text = query.replace("$over", duration(over))
        own = self.query()
        return text.replace("{$sel}", f"{{{own}}}" if own else "").replace(
            "$sel,", f"{own}," if own else ""
        )


class Condition(Protocol):
    """A kind of rule with its numbers."""

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every set of labels that there is."""

    def query(self) -> str:
        """The same in PromQL: an expression that has a value where the condition holds."""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def duration(seconds: float) -> str:
    """Seconds as Prometheus writes them.

    Example:
        >>> duration(300), duration(21600), duration(0.5)
        ('5m', '6h', '500ms')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{round(seconds * 1000)}ms"
