"""Prometheus' Alertmanager, by its API of version 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.channels.http import Post, address, secret
from tidegate.monitoring.alerts.channels.message import Alert, Message, rfc3339

__all__ = ["REFRESH_SECONDS", "Alertmanager"]

PATH: Final = "/api/v2/alerts"

REFRESH_SECONDS: Final = 60.0
"""How often alerts that fire are sent again."""

LAST_SECONDS: Final = 5 * REFRESH_SECONDS
"""When Alertmanager takes an alert for ended that is no longer sent."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """`kind = "alertmanager"`: hands alerts over, and keeps those alive that fire.

    Alertmanager knows an alert by its labels, so that repeats do no harm. What it groups, silences
    and repeats is its own affair.

    Attributes:
        name: The channel's.
        url: Of Alertmanager, without the path of its API.
        token: Sent as `Authorization: Bearer`, where there is one.
    """

    name: str
    url: str = field(repr=False)
    token: str = field(default="", repr=False)

    repeatable = True
    refreshed = True

    @classmethod
    def take(cls, name: str, table: Table) -> Alertmanager:
        """Reads a channel's keys."""
        url = address(secret(table.need("url"), table.place), table.place)
        token = table.text("token")
        return cls(name, url, secret(token, table.place) if token else "")

    def posts(self, message: Message) -> list[Post]:
        """What is sent."""
        body = orjson.dumps([self._alert(alert, message) for alert in message.alerts])
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return [Post(self.url.rstrip("/") + PATH, body, headers)]

    def _alert(self, alert: Alert, message: Message) -> dict[str, object]:
        ends = alert.resolved
        if ends is None:
            ends = message.at + LAST_SECONDS
        labels = {"alertname": alert.rule, "severity": alert.severity, **alert.labels}
        annotations = {
            "summary": alert.summary,
            "description": alert.text,
            "runbook_url": alert.runbook,
            "incident": message.incident,
        }
        return {
            "labels": labels,
            "annotations": {name: text for name, text in annotations.items() if text},
            "startsAt": rfc3339(alert.started),
            "endsAt": rfc3339(ends),
            **({"generatorURL": message.link} if message.link else {}),
        }
