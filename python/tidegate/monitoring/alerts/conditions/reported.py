"""What a part of the program says by itself, rather than a rule about metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tidegate.monitoring.alerts.conditions.base import Finding
from tidegate.monitoring.alerts.history import History

__all__ = ["Reported"]

KEPT_SECONDS: Final = 7 * 86_400.0
"""How long something that was reported goes on if nobody resolves its incident."""

MOST: Final = 100
"""Reports that go on at the same time; the oldest end beyond."""


@dataclass(slots=True)
class Reported:
    """Holds what was reported until somebody resolves its incident.

    It is no kind of rule that settings can name: who has something to report adds it here.

    Attributes:
        agree: Called before each look, to take over what other replicas have reported or ended.
    """

    agree: Callable[[], None] | None = None
    _found: dict[tuple[tuple[str, str], ...], tuple[float, Finding]] = field(default_factory=dict)

    def add(self, finding: Finding, now: float) -> None:
        """Takes a finding; one of the same labels is replaced.

        Args:
            finding: What is to be said.
            now: Seconds since 1970.
        """
        self._found.pop(finding.labels, None)
        self._found[finding.labels] = (now, finding)
        while len(self._found) > MOST:
            del self._found[next(iter(self._found))]

    def keep(self, finding: Finding, since: float) -> None:
        """Goes on with what was reported elsewhere, or before a restart; what is known stays.

        Args:
            finding: What is to be said.
            since: When it was reported, in seconds since 1970.
        """
        if finding.labels not in self._found:
            self.add(finding, since)

    def end(self, labels: Mapping[str, str], until: float) -> None:
        """Ends what was reported with these labels.

        Args:
            labels: Of the finding.
            until: What was reported later goes on, in seconds since 1970.
        """
        key = tuple(sorted(labels.items()))
        at, found = self._found.get(key, (float("inf"), None))
        if found is not None and at <= until:
            self._found[key] = (at, replace(found, active=False))

    @property
    def horizon(self) -> float:
        """Seconds of history that it needs: none."""
        return 0.0

    def findings(self, history: History, now: float) -> list[Finding]:
        """What was reported and goes on."""
        del history
        if self.agree is not None:
            self.agree()
        return [
            found if now - at < KEPT_SECONDS else replace(found, active=False)
            for at, found in self._found.values()
        ]

    def query(self) -> str:
        """No metric says the same."""
        return "vector(0) > 0"
