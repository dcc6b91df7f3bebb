"""What is sent: a notification with its alerts, before any channel's own form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Alert", "Message", "rfc3339"]


def rfc3339(seconds: float) -> str:
    """A time as RFC 3339 in UTC.

    Example:
        >>> rfc3339(0.25)
        '1970-01-01T00:00:00.250Z'
    """
    found = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return found.replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Alert:
    """One firing as it is told.

    Attributes:
        key: Of this firing; the same in everything that is sent of it.
        rule: The rule's name.
        severity: How grave.
        labels: What it is about.
        text: What was measured, and what it was held against.
        value: What was measured.
        started: Seconds since 1970.
        resolved: When it ended, where it has.
        summary: What the rule means.
        runbook: Address of what to do.
    """

    key: str
    rule: str
    severity: str
    labels: Mapping[str, str]
    text: str
    value: float | None
    started: float
    resolved: float | None
    summary: str = ""
    runbook: str = ""

    @property
    def subject(self) -> str:
        """The rule and what it is about, in one line."""
        about = " ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.rule}: {about}" if about else self.rule

    def to_json(self) -> dict[str, Any]:
        """The alert as plain values."""
        return {
            "key": self.key,
            "rule": self.rule,
            "status": "firing" if self.resolved is None else "resolved",
            "severity": self.severity,
            "labels": dict(self.labels),
            "text": self.text,
            "value": self.value,
            "started": rfc3339(self.started),
            "resolved": None if self.resolved is None else rfc3339(self.resolved),
            "summary": self.summary,
            "runbook": self.runbook,
        }


@dataclass(frozen=True, slots=True)
class Message:
    """One notification.

    Attributes:
        id: The same at every attempt; receivers may tell repeats by it.
        kind: `firing`, `escalated`, `repeated`, `resolved` or `test`.
        at: Seconds since 1970.
        alerts: What it is about.
        incident: The incident's name.
        owner: Whose turn it is.
        link: Address of the incident, where the server's own is known.
    """

    id: str
    kind: str
    at: float
    alerts: tuple[Alert, ...]
    incident: str = ""
    owner: str = ""
    link: str = ""

    @property
    def title(self) -> str:
        """One line for people."""
        word = {"firing": "FIRING", "resolved": "RESOLVED", "test": "TEST"}.get(
            self.kind, self.kind.upper()
        )
        more = f" and {len(self.alerts) - 1} more" if len(self.alerts) > 1 else ""
        return f"[{word}] {self.alerts[0].subject}{more}"
