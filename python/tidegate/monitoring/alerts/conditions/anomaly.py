"""A signal that is unlike its own recent past."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector, duration
from tidegate.monitoring.alerts.conditions.threshold import OVER
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.signals import Signal, signal
from tidegate.monitoring.exposition import Labels

__all__ = ["Anomaly"]

NORMAL: Final = 1.349
"""The interquartile range of a normal distribution in standard deviations."""

STEADY: Final = 0.01
"""A stream that never varies has this share of its median as its deviation."""

STEP_SECONDS: Final = 60.0
"""One value a minute is remembered."""

SIDES: Final = ("both", "above", "below")


@dataclass(slots=True)
class _Past:
    points: deque[tuple[float, float]] = field(default_factory=deque)


@dataclass(slots=True)
class Anomaly:
    """`kind = "anomaly"`: holds while a signal is far from its own median.

    Far is measured in deviations: the interquartile range over 1.349, which outliers do not move.
    At least 1 % of the median counts as one deviation, so that a steady stream may stir.

    Attributes:
        signal: What is watched.
        selector: Of which series.
        deviations: How far is too far.
        side: `above`, `below` or `both`.
        past: Seconds of its own past that it is compared with.
        least: Values, one a minute, before it says anything.
        over: Seconds that rates are taken over.
    """

    signal: Signal
    selector: Selector
    deviations: float
    side: str
    past: float
    least: int
    over: float
    _pasts: dict[Labels, _Past] = field(default_factory=dict)

    @classmethod
    def take(cls, table: Table, selector: Selector) -> Anomaly:
        """Reads a rule's keys.

        Raises:
            ConfigurationError: If a key is wrong, or the rule can never say anything.
        """
        found = signal(table.need("signal"), table.place)
        deviations = table.bounded("deviations", 5.0, 0.5, 1_000.0)
        side = table.text("side", "both")
        if side not in SIDES:
            raise table.wrong(f"side is {side!r}: choose from {', '.join(SIDES)}")
        past = table.seconds("past", 86_400.0, least=300.0)
        least = int(table.bounded("least", 60, 5, 10_000))
        if least * STEP_SECONDS > past:
            raise table.wrong(
                f"least {least} can never be reached, as past holds {past / STEP_SECONDS:g} values, "
                "one a minute: lower it or raise past"
            )
        over = table.seconds("over", OVER, least=1.0)
        return cls(found, selector, deviations, side, past, least, over)

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs; its own past it remembers itself."""
        return self.over

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every set of labels."""
        found = []
        values = self.signal.read(history, now, self.over)
        for labels in [labels for labels in self._pasts if labels not in values]:
            points = self._pasts[labels].points
            if not points or now - points[-1][0] > self.past:
                del self._pasts[labels]
        for labels, value in values.items():
            if not self.selector.matches(labels):
                continue
            past = self._pasts.setdefault(labels, _Past()).points
            while past and now - past[0][0] > self.past:
                past.popleft()
            found.append(self._finding(labels, value, [point[1] for point in past]))
            if not past or now - past[-1][0] >= STEP_SECONDS:
                past.append((now, value))
        return found

    def _finding(self, labels: Labels, value: float, past: list[float]) -> Finding:
        if len(past) < self.least:
            text = f"{len(past)} of the {self.least} values that are needed have been seen"
            return Finding(labels, None, value, None, text)
        past.sort()
        median = rank(past, 0.5)
        deviation = max((rank(past, 0.75) - rank(past, 0.25)) / NORMAL, STEADY * abs(median), 1e-12)
        distance = (value - median) / deviation
        active = (self.side != "below" and distance > self.deviations) or (
            self.side != "above" and distance < -self.deviations
        )
        limit = median + (self.deviations if distance >= 0 else -self.deviations) * deviation
        text = (
            f"{self.signal.name} is {value:.4g}, {abs(distance):.1f} deviations "
            f"{'above' if distance >= 0 else 'below'} its median {median:.4g}"
        )
        return Finding(labels, active, value, limit, text)

    def query(self) -> str:
        """The same in PromQL, with one value a minute of the past."""
        now = self.selector.fill(self.signal.query, self.over)
        past = f"({now})[{duration(self.past)}:1m]"
        median = f"quantile_over_time(0.5, {past})"
        spread = (
            f"(quantile_over_time(0.75, {past}) - quantile_over_time(0.25, {past})) / {NORMAL:g}"
        )
        steady = f"{STEADY:g} * abs({median})"
        deviation = f"(({spread}) > ({steady}) or ({steady}))"
        distance = f"(({now}) - {median})"
        distance = f"abs{distance}" if self.side == "both" else distance
        side = f"< -{self.deviations:g}" if self.side == "below" else f"> {self.deviations:g}"
        enough = f"count_over_time({past}) >= {self.least}"
        return f"({distance} {side} * {deviation}) and ({enough})"


def rank(ordered: list[float], share: float) -> float:
    """A quantile of ordered values, between neighbours, as Prometheus' `quantile_over_time`.

    Example:
        >>> rank([1.0, 2.0, 3.0, 4.0], 0.5)
        2.5
    """
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
