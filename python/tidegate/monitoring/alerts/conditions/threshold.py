"""A signal beyond a fixed number."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.signals import Signal, signal

__all__ = ["Threshold"]

OVER: float = 300.0
"""Seconds that rates and quantiles are taken over, unless a rule says so."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """`kind = "threshold"`: holds while a signal is above or below a number.

    Attributes:
        signal: What is watched.
        selector: Of which series.
        above: Holds from beyond this; `None` where `below` counts.
        below: Holds from under this.
        over: Seconds that rates are taken over.
    """

    signal: Signal
    selector: Selector
    above: float | None
    below: float | None
    over: float

    @classmethod
    def take(cls, table: Table, selector: Selector) -> Threshold:
        """Reads a rule's keys.

        Raises:
            ConfigurationError: If a key is wrong, or the number can never be reached.
        """
        found = signal(table.need("signal"), table.place)
        above, below = table.number("above"), table.number("below")
        if (above is None) == (below is None):
            raise table.wrong("give it either above or below")
        if above is not None and above >= found.high:
            raise table.wrong(
                f"above {above:g} can never be reached, as {found.name} is at most "
                f"{found.high:g}: lower it"
            )
        if below is not None and below <= found.low:
            raise table.wrong(
                f"below {below:g} can never be reached, as {found.name} is at least "
                f"{found.low:g}: raise it"
            )
        over = table.seconds("over", OVER, least=1.0)
        return cls(found, selector, above, below, over)

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""
        return self.over

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every set of labels."""
        found = []
        for labels, value in self.signal.read(history, now, self.over).items():
            if not self.selector.matches(labels):
                continue
            if self.above is not None:
                active, limit, word = value > self.above, self.above, "above"
            else:
                assert self.below is not None
                active, limit, word = value < self.below, self.below, "below"
            word = word if active else f"not {word}"
            text = f"{self.signal.name} is {value:.4g}, {word} {limit:g}"
            found.append(Finding(labels, active, value, limit, text))
        return found

    def query(self) -> str:
        """The same in PromQL."""
        side = f"> {self.above:g}" if self.above is not None else f"< {self.below:g}"
        return f"{self.selector.fill(self.signal.query, self.over)} {side}"
