"""Sequential drift: a column whose test raises an alarm, which may be looked at at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector
from tidegate.monitoring.alerts.history import History

__all__ = ["Drift"]

ALARM: Final = "tidegate_drift_alarm"


@dataclass(frozen=True, slots=True)
class Drift:
    """`kind = "drift"`: holds while a column is beyond the distance that is tolerated.

    The test is the runtime's own, with its tolerance and its share of false alarms, and controls
    that share over all columns and all looks.

    Attributes:
        selector: Of which columns.
    """

    selector: Selector

    @classmethod
    def take(cls, table: Table, selector: Selector) -> Drift:
        """Reads a rule's keys, which has none of its own."""
        del table
        return cls(selector)

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""
        return 0.0

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every column."""
        del now
        found = []
        for labels, value in history.latest(ALARM).items():
            if self.selector.matches(labels):
                active = value > 0
                text = f"{dict(labels).get('column')} is {'' if active else 'not known to be '}"
                text += "beyond the distance that is tolerated"
                found.append(Finding(labels, active, value, 0.0, text))
        return found

    def query(self) -> str:
        """The same in PromQL."""
        return self.selector.fill(f"{ALARM}{{$sel}} > 0", 0.0)
