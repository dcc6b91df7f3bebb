"""Slack, by an incoming webhook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.channels.http import Post, address, secret
from tidegate.monitoring.alerts.channels.message import Alert, Message

__all__ = ["Slack"]

MOST_ALERTS: Final = 10
"""Alerts that are written out; Slack takes 50 blocks."""

MOST_CHARACTERS: Final = 2_900
"""Slack takes texts of 3,000 characters."""


@dataclass(frozen=True, slots=True)
class Slack:
    """`kind = "slack"`: posts to an incoming webhook, whose address is the secret.

    Attributes:
        name: The channel's.
        url: Of the webhook.
    """

    name: str
    url: str = field(repr=False)

    repeatable = False
    refreshed = False

    @classmethod
    def take(cls, name: str, table: Table) -> Slack:
        """Reads a channel's keys."""
        return cls(name, address(secret(table.need("url"), table.place), table.place))

    def posts(self, message: Message) -> list[Post]:
        """What is sent."""
        lines = [_section(alert) for alert in message.alerts[:MOST_ALERTS]]
        more = len(message.alerts) - len(lines)
        if more > 0:
            lines.append(f"… and {more} more")
        about = [
            part
            for part in (
                f"owner: {_plain(message.owner)}" if message.owner else "",
                f"incident {_plain(message.incident)}" if message.incident else "",
                f"<{message.link}|open>" if message.link else "",
            )
            if part
        ]
        blocks: list[dict[str, object]] = [
            {"type": "header", "text": {"type": "plain_text", "text": message.title[:150]}}
        ]
        for line in lines:
            text = {"type": "mrkdwn", "text": line[:MOST_CHARACTERS]}
            blocks.append({"type": "section", "text": text})
        if about:
            context = {"type": "mrkdwn", "text": " · ".join(about)}
            blocks.append({"type": "context", "elements": [context]})
        return [Post(self.url, orjson.dumps({"text": _plain(message.title), "blocks": blocks}))]


def _section(alert: Alert) -> str:
    summary = f"\n{_plain(alert.summary)}" if alert.summary else ""
    runbook = f"\n<{alert.runbook}|runbook>" if alert.runbook else ""
    return f"*{_plain(alert.subject)}* ({alert.severity})\n{_plain(alert.text)}{summary}{runbook}"


def _plain(text: str) -> str:
    """Without what Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
