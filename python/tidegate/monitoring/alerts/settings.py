"""The section `[alerts]` of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tidegate.configuration.duration import seconds
from tidegate.configuration.table import Table
from tidegate.errors import ConfigurationError, InputError
from tidegate.monitoring.alerts.rule import Policy, Rule, policy_of, rules_of

__all__ = ["Alerts"]

LEAST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Alerts:
    """Rules about what is served, and who is told.

    Attributes:
        every: Seconds between two looks at the rules.
        storage: Folder or object-store address for alerts and incidents, which replicas share; by
            default `alerts` beside the revisions that are followed, and forgotten at the end without.
        link: Address at which people reach this server, for links in notifications.
        notify: Channels that are told of rules that name none.
        group_by: Labels that alerts have in common which are told together.
        group_wait: How long a first notification waits for others of its group.
        group_interval: How long a group rests between two notifications of new alerts.
        repeat: How long until alerts that still fire are told again.
        channels: By name: see [alerts.md](alerts.md#channels).
        rules: See [alerts.md](alerts.md#rules).

    Raises:
        ConfigurationError: If a rule or a value is wrong.

    Example:
        >>> Alerts(rules=({"name": "idle", "kind": "no_trafic"},))
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: rule 'idle': there is no kind 'no_trafic': did you mean 'no_traffic'?
    """

    every: float = 15.0
    storage: str | None = None
    link: str | None = None
    notify: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ("model",)
    group_wait: str = "30s"
    group_interval: str = "5m"
    repeat: str = "4h"
    channels: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rules: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not LEAST_SECONDS <= self.every <= MOST_SECONDS:
            raise ConfigurationError(
                f"every is {self.every:g}: give seconds from {LEAST_SECONDS:g} to {MOST_SECONDS:g}"
            )
        if self.link is not None and urlsplit(self.link).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"link is {self.link!r}: give an address such as https://models.example.org"
            )
        self.built()

    def policy(self) -> Policy:
        """Who is told when, of rules that say nothing."""
        values: dict[str, Any] = {
            "channels": list(self.notify),
            "group_by": list(self.group_by),
            "group_wait": self.group_wait,
            "group_interval": self.group_interval,
            "repeat": self.repeat,
        }
        return policy_of(Table(values, "[alerts]"), tuple(self.channels), Policy(()))

    def built(self) -> tuple[Rule, ...]:
        """The rules.

        Raises:
            ConfigurationError: If one is wrong, in one sentence.
        """
        for rule in self.rules:
            hold = rule.get("for", 0.0)
            try:
                late = not isinstance(hold, bool) and 0 < seconds(hold) < self.every
            except (InputError, TypeError, ValueError):
                continue
            if late:
                raise ConfigurationError(
                    f"rule {rule.get('name')!r}: for {hold} is shorter than every, which is "
                    f"{self.every:g} s: raise it, or leave it out"
                )
        return rules_of(self.rules, tuple(self.channels), self.policy())
