"""Any receiver of JSON."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import orjson

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.channels.http import Post, address, secret
from tidegate.monitoring.alerts.channels.message import Message, rfc3339

__all__ = ["Webhook"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """`kind = "webhook"`: posts the notification as JSON.

    Each post has the header `Idempotency-Key`, which is the same at every attempt. With a secret it
    has `X-Tidegate-Signature`, the HMAC-SHA256 of the body.

    Attributes:
        name: The channel's.
        url: Where to.
        token: Sent as `Authorization: Bearer`, where there is one.
        key: Of the signature, where there is one.
    """

    name: str
    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    repeatable = True
    refreshed = False

    @classmethod
    def take(cls, name: str, table: Table) -> Webhook:
        """Reads a channel's keys."""
        url = address(secret(table.need("url"), table.place), table.place)
        token, key = table.text("token"), table.text("secret")
        return cls(
            name,
            url,
            secret(token, table.place) if token else "",
            secret(key, table.place) if key else "",
        )

    def posts(self, message: Message) -> list[Post]:
        """What is sent."""
        body = orjson.dumps(
            {
                "version": 1,
                "id": message.id,
                "kind": message.kind,
                "at": rfc3339(message.at),
                "title": message.title,
                "incident": message.incident,
                "owner": message.owner,
                "link": message.link,
                "alerts": [alert.to_json() for alert in message.alerts],
            }
        )
        headers = {"idempotency-key": message.id}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if self.key:
            signature = hmac.new(self.key.encode(), body, hashlib.sha256).hexdigest()
            headers["x-tidegate-signature"] = f"sha256={signature}"
        return [Post(self.url, body, headers)]
