"""Quality that drops: by labels, or estimated before they come."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.base import Finding, Selector, duration
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.exposition import Labels

__all__ = ["ERRORS", "SHARES", "Quality"]

SHARES: Final = ("accuracy", "auc", "f1", "precision", "recall")
"""Measures between 0 and 1 of which more is better."""

ERRORS: Final = ("brier", "calibration_error", "log_loss", "mae", "rmse")
"""Measures from 0 on of which less is better."""

BOUNDED: Final = ("brier", "calibration_error")
"""Errors that are at most 1."""

LABELLED: Final = "tidegate_quality_labelled_total"


@dataclass(frozen=True, slots=True)
class Quality:
    """`kind = "quality"`: holds while a measure is worse than a number, or than it was.

    Attributes:
        measure: Such as `accuracy` or `rmse`.
        selector: Of which models and versions.
        limit: The number; `None` where `drop` counts.
        drop: How much worse than the best of `past`.
        past: Seconds to look back for it.
        least: Labels without which it says nothing.
        estimated: Whether the estimate counts, which needs no labels.
    """

    measure: str
    selector: Selector
    limit: float | None
    drop: float | None
    past: float
    least: int
    estimated: bool

    @classmethod
    def take(cls, table: Table, selector: Selector) -> Quality:
        """Reads a rule's keys.

        Raises:
            ConfigurationError: If a key is wrong, or the number can never be reached.
        """
        measure = table.need("measure")
        if measure not in SHARES + ERRORS:
            near = difflib.get_close_matches(measure, SHARES + ERRORS, n=1, cutoff=0.0)[0]
            raise table.wrong(f"there is no measure {measure!r}: did you mean {near!r}?")
        side = "below" if measure in SHARES else "above"
        other = "above" if side == "below" else "below"
        if table.has(other):
            better = "more" if side == "below" else "less"
            raise table.wrong(f"of {measure} {better} is better: give {side} instead of {other}")
        limit, drop = table.number(side), table.number("drop")
        if (limit is None) == (drop is None):
            raise table.wrong(f"give it either {side} or drop")
        bounded = measure in SHARES + BOUNDED
        if limit is not None and (limit <= 0 if side == "below" else bounded and limit >= 1):
            raise table.wrong(f"{side} {limit:g} can never be reached, as {measure} is from 0 to 1")
        if drop is not None and (drop <= 0 or (bounded and drop >= 1)):
            raise table.wrong(f"drop {drop:g} can never be reached or says nothing: change it")
        return cls(
            measure,
            selector,
            limit,
            drop,
            table.seconds("past", 86_400.0, least=300.0),
            int(table.bounded("least", 100, 1, 1e9)),
            table.flag("estimated", False),
        )

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs."""
        return self.past if self.drop is not None else 0.0

    @property
    def _name(self) -> str:
        return "tidegate_quality_estimate" if self.estimated else "tidegate_quality"

    @property
    def _more(self) -> bool:
        return self.measure in SHARES

    def findings(self, history: History, now: float) -> list[Finding]:
        """What it says of every version."""
        found = []
        for labels, value in history.latest(self._name).items():
            if ("measure", self.measure) not in labels or not self.selector.matches(labels):
                continue
            limit = self._limit(history, labels, now)
            active: bool | None = value < limit if self._more else value > limit
            word = "below" if self._more else "above"
            text = (
                f"{self.measure}{' (estimated)' if self.estimated else ''} is {value:.4g}, "
                f"{'' if active else 'not '}{word} {limit:.4g}"
            )
            labelled = self._labelled(history, labels)
            if labelled < self.least:
                active, text = None, f"{labelled:g} of the {self.least} labels that are needed came"
            found.append(Finding(labels, active, value, limit, text))
        return found

    def _limit(self, history: History, labels: Labels, now: float) -> float:
        if self.limit is not None:
            return self.limit
        assert self.drop is not None
        values = [v for at, v in history.points(self._name, labels) if at >= now - self.past]
        return max(values) - self.drop if self._more else min(values) + self.drop

    def _labelled(self, history: History, labels: Labels) -> float:
        if self.estimated:
            return float("inf")
        own = tuple(pair for pair in labels if pair[0] != "measure")
        return history.latest(LABELLED).get(own, 0.0)

    def query(self) -> str:
        """The same in PromQL."""
        own = f'{self._name}{{$sel,measure="{self.measure}"}}'
        sign = "<" if self._more else ">"
        if self.limit is not None:
            query = f"{own} {sign} {self.limit:g}"
        else:
            best = "max_over_time" if self._more else "min_over_time"
            change = "-" if self._more else "+"
            past = f"{best}({own}[{duration(self.past)}])"
            query = f"{own} {sign} ({past} {change} {self.drop:g})"
        if not self.estimated:
            query += f" and on (model, version) {LABELLED}{{$sel}} >= {self.least}"
        return self.selector.fill(query, self.past)
