"""Looking at every rule: findings become alerts, and alerts begin and end on this replica."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.errors import TidegateError
from tidegate.monitoring.alerts.conditions import Finding
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.alerts.machine import INACTIVE, Change, Local, step
from tidegate.monitoring.alerts.rule import Rule
from tidegate.monitoring.alerts.state import Episode, State, fingerprint
from tidegate.monitoring.exposition import Labels

__all__ = ["Evaluation", "Turn"]

LOG: Final = logging.getLogger("tidegate.alerts")

MOST_ALERTS: Final = 1_000
"""Alerts of one replica that pend or fire; what comes on top is passed over, and said so."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An alert that begins or ends here.

    Attributes:
        alert: Its fingerprint.
        change: Which of both.
        rule: Whose alert it is; `None` where there is no such rule any more.
        finding: What was found, at a begin.
    """

    alert: str
    change: Change
    rule: Rule | None
    finding: Finding | None


class Evaluation:
    """The alerts of one replica.

    Args:
        rules: What is looked at.

    Example:
        >>> Evaluation([]).pending()
        {}
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: Final = {rule.name: rule for rule in rules}
        self._locals: dict[str, Local] = {}
        self._found: dict[str, tuple[str, Labels]] = {}
        self._findings: dict[str, Finding] = {}
        self._crowded = False
        self._begun: float | None = None

    def pending(self) -> dict[str, float]:
        """Since when alerts are pending."""
        return {
            alert: local.since for alert, local in self._locals.items() if local.state == "pending"
        }

    def shown(self) -> list[tuple[str, Labels, float, str]]:
        """Alerts that are pending: rule, labels, since when, and in words."""
        return [
            (*self._found[alert], local.since, self._findings[alert].text)
            for alert, local in self._locals.items()
            if local.state == "pending" and alert in self._findings
        ]

    def inherit(self, pending: Mapping[str, float], state: State, orphans: set[str]) -> None:
        """Takes over from replicas that are gone.

        Args:
            pending: Since when alerts were pending there. They count for what pends here since the
                first look, as nobody else has looked in between.
            state: What all agree on.
            orphans: Alerts that fire and whose holders are all gone.
        """
        for alert, since in pending.items():
            local = self._locals.get(alert)
            if local is not None and local.state == "pending" and since < local.since:
                if self._begun is None or local.since <= self._begun:
                    self._locals[alert] = Local("pending", since, local.known)
            elif local is None and alert not in state.firing and self._begun is None:
                # It counts on if the first look confirms it, and is dropped otherwise.
                self._locals[alert] = Local("pending", since, since)
        for alert in orphans:
            episode = state.episode(alert)
            if alert not in self._locals and episode is not None:
                self._adopt(alert, episode, state.at)

    def _adopt(self, alert: str, episode: Episode, now: float) -> None:
        self._locals[alert] = Local("firing", episode.started, now)
        self._found[alert] = (episode.rule, tuple(sorted(episode.labels.items())))

    def look(self, history: History, now: float, served: set[tuple[str, str]]) -> Iterator[Turn]:
        """Looks at every rule once.

        Args:
            history: Up to now.
            now: Seconds since 1970.
            served: Models and versions that are.
        """
        seen: set[str] = set()
        self._begun = now if self._begun is None else self._begun
        for rule in self._rules.values():
            try:
                findings = rule.condition.findings(history, now)
            except TidegateError as error:
                LOG.error("rule %r cannot be evaluated: %s", rule.name, error)
                continue
            for finding in findings:
                alert = fingerprint(rule.name, finding.labels)
                if finding.active or alert in self._locals:
                    seen.add(alert)
                    yield from self._step(alert, rule, finding, now)
        for alert in [alert for alert in self._locals if alert not in seen]:
            found = self._found.get(alert)
            if found is None:
                del self._locals[alert]
                continue
            name, labels = found
            rule_ = self._rules.get(name)
            # Of what is no longer served, or no longer asked, nothing more will be known.
            gone = rule_ is None or not _served(labels, served)
            finding = Finding(labels, False if gone else None, None, None, "")
            yield from self._step(alert, rule_, finding, now, at_once=gone)

    def _step(
        self,
        alert: str,
        rule: Rule | None,
        finding: Finding,
        now: float,
        *,
        at_once: bool = False,
    ) -> Iterator[Turn]:
        local = self._locals.get(alert, INACTIVE)
        hold = rule.hold if rule else 0.0
        keep = 0.0 if at_once or rule is None else rule.keep
        after, change = step(local, finding.active, now, hold=hold, keep=keep)
        if after == INACTIVE:
            self._locals.pop(alert, None)
            self._found.pop(alert, None)
            self._findings.pop(alert, None)
        elif alert not in self._locals and len(self._locals) >= MOST_ALERTS:
            if not self._crowded:
                LOG.error(
                    "%d alerts pend or fire: no further one is looked at, so make rules narrower",
                    MOST_ALERTS,
                )
            self._crowded = True
            return
        else:
            self._locals[alert] = after
            if rule is not None:
                self._found[alert] = (rule.name, finding.labels)
            self._findings[alert] = finding
        self._crowded = self._crowded and len(self._locals) >= MOST_ALERTS
        if change is not None:
            yield Turn(alert, change, rule, finding)

    def holding(self) -> Iterator[Turn]:
        """Alerts that fire here and whose condition held at the last look, as if they began now."""
        for alert, local in self._locals.items():
            finding = self._findings.get(alert)
            rule = self._rules.get(self._found[alert][0]) if alert in self._found else None
            if local.state == "firing" and finding is not None and finding.active and rule:
                yield Turn(alert, "held", rule, finding)


def _served(labels: Labels, served: set[tuple[str, str]]) -> bool:
    own = dict(labels)
    model, version = own.get("model"), own.get("version")
    if model is None:
        return True
    return any(model == name and version in (None, found) for name, found in served)
