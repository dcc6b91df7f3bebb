"""Where alerts are told: one file for each kind of channel."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from tidegate.configuration.table import Table
from tidegate.errors import ConfigurationError
from tidegate.monitoring.alerts.channels.alertmanager import Alertmanager
from tidegate.monitoring.alerts.channels.http import ChannelError, Post, post
from tidegate.monitoring.alerts.channels.message import Alert, Message
from tidegate.monitoring.alerts.channels.pagerduty import PagerDuty
from tidegate.monitoring.alerts.channels.slack import Slack
from tidegate.monitoring.alerts.channels.webhook import Webhook

__all__ = [
    "KINDS",
    "Alert",
    "Channel",
    "ChannelError",
    "Message",
    "Post",
    "channels_of",
    "post",
]

MOST_CHANNELS: Final = 50

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Channel(Protocol):
    """What turns a notification into requests.

    `repeatable` says whether the receiver recognises what it has already, `refreshed` whether it
    wants to hear of what fires again and again.
    """

    @property
    def name(self) -> str:
        """As rules name it."""

    @property
    def repeatable(self) -> bool:
        """Whether a second message of the same does no harm."""

    @property
    def refreshed(self) -> bool:
        """Whether alerts end there unless they are sent again."""

    def posts(self, message: Message) -> list[Post]:
        """The requests of a notification."""


KINDS: Final[Mapping[str, Callable[[str, Table], Channel]]] = {
    "webhook": Webhook.take,
    "alertmanager": Alertmanager.take,
    "slack": Slack.take,
    "pagerduty": PagerDuty.take,
}
"""What reads a channel of each kind."""


def channels_of(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Channel]:
    """Reads channels as the settings file has them.

    Args:
        tables: By name; what is secret may be `env:NAME` or `file:PATH`.

    Raises:
        ConfigurationError: If one is wrong; the message holds nothing secret.

    Example:
        >>> list(channels_of({"ops": {"kind": "slack", "url": "https://hooks.example.com/x"}}))
        ['ops']
    """
    if len(tables) > MOST_CHANNELS:
        raise ConfigurationError(f"{len(tables)} channels are too many: at most {MOST_CHANNELS}")
    found: dict[str, Channel] = {}
    for name, values in tables.items():
        place = f"channel {name!r}"
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{place}: name it with at most 64 letters, digits, ._-")
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"{place} is no table: write [alerts.channels.{name}]")
        table = Table(values, place)
        kind = table.need("kind")
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
            raise table.wrong(f"there is no kind {kind!r}: did you mean {near!r}?")
        found[name] = KINDS[kind](name, table)
        table.done()
    return found
