"""PagerDuty, by its Events API of version 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.channels.http import Post, address, secret
from tidegate.monitoring.alerts.channels.message import Alert, Message, rfc3339

__all__ = ["PagerDuty"]

EVENTS: Final = "https://events.pagerduty.com/v2/enqueue"

MOST_CHARACTERS: Final = 1_024
"""PagerDuty takes summaries of this length."""


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """`kind = "pagerduty"`: triggers and resolves one PagerDuty alert for each firing.

    PagerDuty knows a firing by its `dedup_key`, so that repeats do no harm.

    Attributes:
        name: The channel's.
        routing_key: Of the service's integration.
        url: Of the Events API.
    """

    name: str
    routing_key: str = field(repr=False)
    url: str = field(default=EVENTS, repr=False)

    repeatable = True
    refreshed = False

    @classmethod
    def take(cls, name: str, table: Table) -> PagerDuty:
        """Reads a channel's keys."""
        key = secret(table.need("routing_key"), table.place)
        return cls(name, key, address(table.text("url", EVENTS), table.place))

    def posts(self, message: Message) -> list[Post]:
        """What is sent: one event for each alert."""
        return [self._event(alert, message) for alert in message.alerts]

    def _event(self, alert: Alert, message: Message) -> Post:
        event: dict[str, object] = {
            "routing_key": self.routing_key,
            "event_action": "trigger" if alert.resolved is None else "resolve",
            "dedup_key": f"tidegate/{alert.key}",
        }
        if alert.resolved is None:
            event["payload"] = {
                "summary": f"{alert.subject}: {alert.text}"[:MOST_CHARACTERS],
                "source": alert.labels.get("model", "tidegate"),
                "severity": alert.severity,
                "timestamp": rfc3339(alert.started),
                "component": "tidegate",
                "custom_details": {**alert.to_json(), "incident": message.incident},
            }
            links = [
                {"href": href, "text": text}
                for href, text in ((message.link, "incident"), (alert.runbook, "runbook"))
                if href
            ]
            if links:
                event["links"] = links
        return Post(self.url, orjson.dumps(event))
