"""A served model that nobody asks any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector, duration
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.signals import TOTAL

__all__ = ["NoTraffic"]

COVERED: Final = 0.9
"""The share of the time that must have been seen before it says anything."""


@dataclass(frozen=True, slots=True)
class NoTraffic:
    """`kind = "no_traffic"`: holds while a model has had no request for some time.

    Attributes:
        selector: Of which models.
        over: Seconds without a request.
    """

    selector: Selector
    over: float

    @classmethod
    def take(cls, table: Table, selector: Selector) -> NoTraffic:
        """Reads a rule's keys.

        Raises:
            ConfigurationError: If a key is wrong.
        """
        return cls(selector, table.seconds("over", 600.0, least=10.0))

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""
        return self.over

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every model, all its versions together."""
        amounts: dict[str, tuple[float, float]] = {}
        for labels, (amount, seconds) in history.increase(TOTAL, self.over, now).items():
            if self.selector.matches(labels):
                model = dict(labels)["model"]
                before = amounts.get(model, (0.0, 0.0))
                amounts[model] = (before[0] + amount, max(before[1], seconds))
        found = []
        for model, (amount, seconds) in sorted(amounts.items()):
            active = False if amount else True if seconds >= COVERED * self.over else None
            text = f"{amount:g} requests within {duration(round(seconds))}"
            found.append(Finding((("model", model),), active, amount, 0.0, text))
        return found

    def query(self) -> str:
        """The same in PromQL."""
        return self.selector.fill(
            f"sum by (model) (increase({TOTAL}{{$sel}}[$over])) == 0", self.over
        )
