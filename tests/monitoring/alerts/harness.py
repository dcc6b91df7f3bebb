"""Replicas in virtual time: real engines on one store, a scripted gauge, and what was told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from obstore.store import MemoryStore

from tidegate.monitoring.alerts import Rule, rules_of
from tidegate.monitoring.alerts.channels import Channel, Message, channels_of
from tidegate.monitoring.alerts.engine import Engine
from tidegate.monitoring.alerts.journal import Journal
from tidegate.monitoring.alerts.presence import Presence
from tidegate.monitoring.exposition import Sample, labels_of
from tidegate.storage import Store
from tidegate.storage.remote import ObjectStore

CHANNELS = channels_of(
    {
        "first": {"kind": "webhook", "url": "http://127.0.0.1:1/first"},
        "second": {"kind": "slack", "url": "http://127.0.0.1:1/second"},
    }
)
STEPS = [
    {"after": 0, "owner": "on call", "channels": ["first"]},
    {"after": "5m", "owner": "lead", "channels": ["second"]},
]
QUEUED: dict[str, Any] = {
    "name": "queued",
    "kind": "threshold",
    "signal": "queue_rows",
    "above": 10,
}


def memory() -> Store:
    return ObjectStore(MemoryStore(), "memory://")


def queued(**more: Any) -> tuple[Rule, ...]:
    """A rule about rows that wait, told at once unless it is said otherwise."""
    values = {**QUEUED, "group_wait": 0, "channels": ["first"], **more}
    if "escalation" in values:
        del values["channels"]
    return rules_of([values], tuple(CHANNELS))


@dataclass
class Gauge:
    """What waits for each model; models that are not in it are not served."""

    rows: dict[str, float] = field(default_factory=dict)

    def samples(self) -> Iterable[Sample]:
        for model, rows in self.rows.items():
            own = labels_of(model=model, version="1.0.0")
            yield Sample("tidegate_queue_rows", own, rows)
            yield Sample("tidegate_requests_total", (*own[:1], ("outcome", "ok"), *own[1:]), 0.0)


@dataclass
class Told:
    """What was sent: when, where, what about which firing."""

    lines: list[tuple[float, str, str, str]] = field(default_factory=list)

    def about(self, kind: str, channel: str = "first") -> list[str]:
        return [key for _, where, what, key in self.lines if (where, what) == (channel, kind)]


class Replica:
    """One engine; what it sends arrives at once."""

    def __init__(
        self,
        name: str,
        store: Store,
        rules: Sequence[Rule],
        told: Told,
        channels: dict[str, Channel] | None = None,
    ) -> None:
        self.gauge = Gauge()
        self.told = told
        self.arrives = True
        journal = Journal(store)
        journal.open()
        self.engine = Engine(
            rules,
            CHANNELS if channels is None else channels,
            journal,
            Presence(store, name),
            name,
            sources=[self.gauge],
            sending=self,
        )

    def put(self, channel: str, message: Message) -> None:
        if not self.arrives:
            return
        for alert in message.alerts:
            self.told.lines.append((message.at, channel, message.kind, alert.key))
        self.engine.outcome(message.id, channel, None)

    def tick(self, now: float, **rows: float) -> None:
        self.gauge.rows = rows
        self.engine.tick(now)
