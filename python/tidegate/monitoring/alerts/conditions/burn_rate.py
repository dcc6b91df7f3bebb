"""A latency objective whose error budget burns too fast, by two windows of different length.

Source: the Site Reliability Workbook, chapter 5, multiwindow, multi-burn-rate alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector, duration
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.signals import FAULTS, STAGE, TOTAL, grouped, stage_buckets
from tidegate.monitoring.exposition import Labels

__all__ = ["BurnRate"]

EDGES: Final = tuple((1 << power) / 1e6 for power in range(24))
"""Upper edges of the buckets of latency, in seconds."""

SHORT: Final = 12
"""A short window is a twelfth of its long one; it ends an alert soon after its cause."""

COVERED: Final = 0.5
"""The share of a long window that must have been seen before it says anything."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One pair of windows.

    Attributes:
        window: Seconds of the long one.
        burn: How many times too fast the budget burns.
    """

    window: float
    burn: float


@dataclass(frozen=True, slots=True)
class BurnRate:
    """`kind = "burn_rate"`: holds while too many requests miss the objective, soon or steadily.

    A request misses it that was answered later, or failed by the server's fault. Burning at 1 uses
    up exactly the budget, which is what the target leaves: 1 in 100 at a target of 0.99.

    Attributes:
        selector: Of which models.
        objective: Seconds within which requests are to be answered.
        target: The share of requests that must be.
        fast: Windows for what burns the budget in hours.
        slow: Windows for what burns it in days.
    """

    selector: Selector
    objective: float
    target: float
    fast: Speed
    slow: Speed

    @classmethod
    def take(cls, table: Table, selector: Selector) -> BurnRate:
        """Reads a rule's keys.

        Raises:
            ConfigurationError: If a key is wrong, or a burn rate can never be reached.
        """
        objective = table.seconds("objective", 0.0)
        if not EDGES[0] <= objective <= EDGES[-1]:
            raise table.wrong(
                f"objective is {objective:g} s: give a time from {EDGES[0]:g} to {EDGES[-1]:g} s, "
                "which is what latency is measured in"
            )
        target = table.bounded("target", 0.99, 0.5, 0.999999)
        speeds = []
        for name, window, burn in (("fast", 3_600.0, 14.4), ("slow", 21_600.0, 6.0)):
            long = table.seconds(f"{name}_window", window, least=60.0)
            times = table.bounded(f"{name}_burn", burn, 1.0, 1e6)
            if times * (1 - target) >= 1:
                raise table.wrong(
                    f"{name}_burn {times:g} can never be reached, as a target of {target:g} burns "
                    f"at {1 / (1 - target):g} at most: lower it or raise the target"
                )
            speeds.append(Speed(long, times))
        if speeds[0].window >= speeds[1].window:
            raise table.wrong("fast_window must be shorter than slow_window")
        return cls(selector, objective, target, *speeds)

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""
        return self.slow.window

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every model and version."""
        windows = {
            window: self.bad(history, window, now)
            for speed in (self.fast, self.slow)
            for window in (speed.window, speed.window / SHORT)
        }
        seen = self._seen(history, now)
        found = []
        for labels in sorted({labels for shares in windows.values() for labels in shares}):
            if not self.selector.matches(labels):
                continue
            verdicts: list[bool | None] = []
            worst = (0.0, self.fast)
            for speed in (self.fast, self.slow):
                shares = [
                    windows[window].get(labels) for window in (speed.window, speed.window / SHORT)
                ]
                if seen.get(labels, 0.0) < COVERED * speed.window:
                    verdicts.append(None)
                    continue
                # Without a request nothing burns.
                burns = [(share or 0.0) / (1 - self.target) for share in shares]
                verdicts.append(min(burns) > speed.burn)
                worst = max(worst, (min(burns), speed), key=lambda pair: pair[0] / pair[1].burn)
            active = True if True in verdicts else False if False in verdicts else None
            burn, speed = worst
            text = (
                f"the budget of {1 - self.target:.3g} of the requests to miss {self.objective:g} s "
                f"burns {burn:.1f} times too fast over {duration(speed.window)}"
            )
            found.append(Finding(labels, active, burn, speed.burn, text))
        return found

    def _seen(self, history: History, now: float) -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        for labels in history.latest(TOTAL):
            key = tuple((name, text) for name, text in labels if name in ("model", "version"))
            points = history.points(TOTAL, labels)
            found[key] = max(found.get(key, 0.0), now - points[0][0] if points else 0.0)
        return found

    def bad(self, history: History, over: float, now: float) -> dict[Labels, float]:
        """The share of requests that missed the objective, where there were any."""
        grown = history.increase(TOTAL, over, now)
        failed = grouped(
            {key: amount for key, (amount, _) in grown.items() if dict(key)["outcome"] in FAULTS}
        )
        found = {}
        for labels, buckets in stage_buckets(history, over, now).items():
            answered = buckets.get(float("inf"), 0.0)
            total = answered + failed.get(labels, 0.0)
            if total > 0:
                found[labels] = 1 - min(self._good(buckets), answered) / total
        return found

    def _good(self, buckets: dict[float, float]) -> float:
        low, high, share = self._between()
        below = buckets.get(low, 0.0)
        return below + share * (buckets.get(high, below) - below)

    def _between(self) -> tuple[float, float, float]:
        """The edges around the objective, and how far it is from the first to the second."""
        high = next(edge for edge in EDGES if edge >= self.objective)
        if high == self.objective or high == EDGES[0]:
            return high, high, 0.0
        low = EDGES[EDGES.index(high) - 1]
        return low, high, (self.objective - low) / (high - low)

    def query(self) -> str:
        """The same in PromQL."""
        pairs = []
        for speed in (self.fast, self.slow):
            limit = f"> {speed.burn * (1 - self.target):.10g}"
            long, short = self._share(speed.window), self._share(speed.window / SHORT)
            pairs.append(f"(({long}) {limit} and ({short}) {limit})")
        return " or ".join(pairs)

    def _share(self, window: float) -> str:
        by = "sum by (model, version)"

        def bucket(edge: float) -> str:
            le = "+Inf" if edge == float("inf") else f"{edge:.10f}".rstrip("0").rstrip(".")
            name = f'{STAGE}_bucket{{$sel,stage="total",le="{le}"}}'
            return f"{by} (rate({name}[$over]))"

        low, high, share = self._between()
        good = bucket(low)
        if share:
            good = f"({good} + {share:.10g} * ({bucket(high)} - {bucket(low)}))"
        failed = f'{by} (rate({TOTAL}{{$sel,outcome=~"{"|".join(FAULTS)}"}}[$over]))'
        answered = bucket(float("inf"))
        # Outcomes that have not occurred have no series.
        every = f"({answered} + ({failed} or 0 * {answered}))"
        return self.selector.fill(f"1 - {good} / ({every} > 0)", window)
