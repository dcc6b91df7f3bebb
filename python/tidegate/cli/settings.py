"""Flags as settings: `NAME=VALUE` texts, and options that stand for one setting each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidegate.configuration import Setting
from tidegate.errors import ConfigurationError

__all__ = ["options", "pairs"]


def pairs(texts: Iterable[str], flag: str, below: str = "") -> list[Setting]:
    """The settings of texts such as `runtime.max_queue_rows=1000`.

    Args:
        texts: What was given.
        flag: The name of the flag.
        below: The section and table that names are in, with a dot at its end.

    Raises:
        ConfigurationError: If a text has no `=`.

    Example:
        >>> pairs(["body_bytes=1000"], "--limit", "server.limits.")
        [Setting(name='server.limits.body_bytes', value='1000', origin='--limit')]
    """
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(f"{flag} {text}: give it as NAME=VALUE")
        found.append(Setting(f"{below}{name}", value, flag))
    return found


def options(given: Mapping[str, tuple[str, object]]) -> list[Setting]:
    """The settings of options that were given; those that are `None` were not.

    Args:
        given: By flag: the setting and its value.
    """
    return [
        Setting(name, value, flag) for flag, (name, value) in given.items() if value is not None
    ]
