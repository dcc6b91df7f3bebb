"""What all replicas agree on: the fold of the journal's records.

`State.apply` uses nothing but the record, so that every reader of a journal has the same state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.errors import StateError
from tidegate.monitoring.alerts.silence import Silence
from tidegate.types import JsonObject

__all__ = ["VERSION", "Delivery", "Episode", "Incident", "State", "episode_id", "fingerprint"]

VERSION: Final = 1
"""The newest form of a state that this tidegate reads and the one that it writes."""

REMEMBERED_SECONDS: Final = 86_400.0
"""How long what is over stays in the state."""

MOST_EPISODES: Final = 2_000
MOST_INCIDENTS: Final = 500
MOST_CHANGES: Final = 200
MOST_FAILURES: Final = 50


def fingerprint(rule: str, labels: Iterable[tuple[str, str]]) -> str:
    """The name of an alert: of a rule and a set of labels, on every replica the same.

    Example:
        >>> fingerprint("slow", [("model", "m")])
        '48140935155f9cb4'
    """
    text = "\x00".join([rule, *(f"{name}\x01{value}" for name, value in sorted(labels))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def episode_id(alert: str, started: float) -> str:
    """The name of one firing of an alert."""
    return f"{alert}-{round(started * 1000)}"


@dataclass(slots=True)
class Episode:
    """One firing of one alert, from its begin until everybody who was told knows that it is over.

    Attributes:
        alert: Its fingerprint.
        rule: The rule's name.
        group: Labels by which incidents are told apart.
        labels: Of the alert.
        severity: How grave.
        started: Seconds since 1970.
        value: What was measured when it began.
        limit: What it was held against.
        text: Both in words.
        incident: Which it belongs to.
        holders: Replicas on which its condition holds.
        opener: The replica that began it.
        resolved: When the last of them let go.
        acknowledged: Who has, if somebody did.
        told: When the first notification was decided.
        step: Of the escalation.
        last: The newest notification.
        channels: Where it was told.
        closed: Whether its end was told, where its begin was.
    """

    alert: str
    rule: str
    group: str
    labels: dict[str, str]
    severity: str
    started: float
    value: float | None
    limit: float | None
    text: str
    incident: str
    holders: list[str]
    opener: str
    resolved: float | None = None
    acknowledged: str | None = None
    told: float | None = None
    step: int = 0
    last: float = 0.0
    channels: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def id(self) -> str:
        """The name of this firing."""
        return episode_id(self.alert, self.started)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be said of it."""
        return self.resolved is not None and (self.closed or self.told is None)


@dataclass(slots=True)
class Incident:
    """Alerts that belong together, from the first one on.

    Attributes:
        id: Its name.
        group: Labels that its alerts have in common.
        title: Of the first alert.
        severity: The first alert's.
        opened: Seconds since 1970.
        opener: The replica that opened it.
        episodes: Names of firings.
        acknowledged: Who has.
        acknowledged_at: When.
        resolved: When it was over.
        resolver: Who said so; `rules` where all its alerts had ended.
    """

    id: str
    group: str
    title: str
    severity: str
    opened: float
    opener: str
    episodes: list[str]
    acknowledged: str | None = None
    acknowledged_at: float | None = None
    resolved: float | None = None
    resolver: str | None = None

    @property
    def status(self) -> str:
        """`open`, `acknowledged` or `resolved`."""
        if self.resolved is not None:
            return "resolved"
        return "open" if self.acknowledged is None else "acknowledged"


@dataclass(slots=True)
class Delivery:
    """A notification that is decided and not yet known to have arrived.

    Attributes:
        by: The replica that sends it.
        at: When it was decided.
        body: The record that decided it.
    """

    by: str
    at: float
    body: dict[str, Any]


@dataclass(slots=True)
class State:
    """Alerts, incidents, silences, notifications under way and changes, as the records say."""

    episodes: dict[str, Episode] = field(default_factory=dict)
    firing: dict[str, str] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    groups: dict[str, float] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    served: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    at: float = 0.0

    def episode(self, alert: str) -> Episode | None:
        """The firing of an alert that is under way."""
        name = self.firing.get(alert)
        return None if name is None else self.episodes[name]

    def apply(self, record: Mapping[str, Any]) -> None:
        """Takes one record; one that means nothing here changes nothing."""
        self.at = max(self.at, float(record["at"]))
        handler = getattr(self, f"_{record['type']}", None)
        if handler is not None:
            handler(record)

    # ---- records

    def _held(self, record: Mapping[str, Any]) -> None:
        present = self.episode(record["alert"])
        if present is not None:
            if record["by"] not in present.holders:
                present.holders.append(record["by"])
            return
        episode = Episode(
            alert=record["alert"],
            rule=record["rule"],
            group=record["group"],
            labels=dict(record["labels"]),
            severity=record["severity"],
            started=float(record["at"]),
            value=record["value"],
            limit=record["limit"],
            text=record["text"],
            incident="",
            holders=[record["by"]],
            opener=record["by"],
        )
        incident = next(
            (
                found
                for found in self.incidents.values()
                if found.group == episode.group and found.resolved is None
            ),
            None,
        )
        if incident is None:
            when = datetime.fromtimestamp(episode.started, UTC)
            incident = Incident(
                id=f"{when:%Y%m%d-%H%M%S}-{episode.alert[:6]}",
                group=episode.group,
                title=record["title"],
                severity=episode.severity,
                opened=episode.started,
                opener=episode.opener,
                episodes=[],
            )
            self.incidents[incident.id] = incident
        incident.episodes.append(episode.id)
        episode.incident = incident.id
        # What somebody has in hand already needs no further call.
        episode.acknowledged = incident.acknowledged
        self.episodes[episode.id] = episode
        self.firing[episode.alert] = episode.id

    def _released(self, record: Mapping[str, Any]) -> None:
        episode = self.episode(record["alert"])
        if episode is None:
            return
        gone = set(record["holders"])
        episode.holders = [holder for holder in episode.holders if holder not in gone]
        if episode.holders:
            return
        episode.resolved = float(record["at"])
        del self.firing[episode.alert]
        incident = self.incidents.get(episode.incident)
        if (
            incident is not None
            and incident.resolved is None
            and not any(found in self.firing.values() for found in incident.episodes)
        ):
            incident.resolved, incident.resolver = episode.resolved, "rules"
        self._prune()

    def _notified(self, record: Mapping[str, Any]) -> None:
        at = float(record["at"])
        for name in record["episodes"]:
            episode = self.episodes.get(name)
            if episode is None:
                continue
            if record["kind"] == "resolved":
                episode.closed = True
                continue
            episode.told = at if episode.told is None else episode.told
            episode.step = max(episode.step, int(record["step"]))
            episode.last = at
            episode.channels = sorted({*episode.channels, *record["channels"]})
        self.groups[record["group"]] = at
        self.deliveries[record["id"]] = Delivery(record["by"], at, dict(record))

    def _taken(self, record: Mapping[str, Any]) -> None:
        delivery = self.deliveries.get(record["notification"])
        if delivery is not None:
            delivery.by = record["by"]

    def _delivered(self, record: Mapping[str, Any]) -> None:
        self.deliveries.pop(record["notification"], None)
        for channel, reason in record["failed"].items():
            self.failures.append({"at": record["at"], "channel": channel, "reason": reason})
        del self.failures[:-MOST_FAILURES]

    def _silenced(self, record: Mapping[str, Any]) -> None:
        self.silences[record["id"]] = Silence(
            record["id"],
            dict(record["matchers"]),
            float(record["start"]),
            float(record["end"]),
            record["comment"],
            record["author"],
        )
        self.silences = {
            name: found for name, found in self.silences.items() if found.end > self.at
        }

    def _unsilenced(self, record: Mapping[str, Any]) -> None:
        self.silences.pop(record["id"], None)

    def _acknowledged(self, record: Mapping[str, Any]) -> None:
        incident = self.incidents.get(record["incident"])
        if incident is None or incident.resolved is not None:
            return
        if incident.acknowledged is None:
            incident.acknowledged = record["author"]
            incident.acknowledged_at = float(record["at"])
        for name in incident.episodes:
            if name in self.episodes:
                self.episodes[name].acknowledged = record["author"]

    def _closed(self, record: Mapping[str, Any]) -> None:
        self._acknowledged(record)
        incident = self.incidents.get(record["incident"])
        if incident is not None and incident.resolved is None:
            incident.resolved, incident.resolver = float(record["at"]), record["author"]

    def _changed(self, record: Mapping[str, Any]) -> None:
        change = {key: record[key] for key in ("at", "what", "name", "before", "after")}
        self.changes.append(change)
        del self.changes[:-MOST_CHANGES]
        if record["what"] == "deployment":
            if record["after"]:
                self.served[record["name"]] = record["after"]
            else:
                self.served.pop(record["name"], None)
        elif record["what"] == "setting":
            self.settings[record["name"]] = record["after"]

    def _configured(self, record: Mapping[str, Any]) -> None:
        self.settings = dict(record["settings"])
        self.served = dict(record["served"])

    def _prune(self) -> None:
        """Forgets what was over long ago."""
        old = self.at - REMEMBERED_SECONDS
        over = [name for name, found in self.episodes.items() if found.over]
        crowd = len(self.episodes) - MOST_EPISODES
        for place, name in enumerate(over):
            if place < crowd or (self.episodes[name].resolved or 0.0) < old:
                del self.episodes[name]
        ended = [name for name, found in self.incidents.items() if found.resolved is not None]
        for name in ended[: max(len(self.incidents) - MOST_INCIDENTS, 0)]:
            del self.incidents[name]
        self.groups = {name: at for name, at in self.groups.items() if at >= old}

    # ---- checkpoints

    def to_json(self) -> JsonObject:
        """The state as plain values."""
        return {"state": asdict(self), "version": VERSION}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> State:
        """Reads what `to_json` gave.

        Raises:
            StateError: If it is no state, or of a later version.
        """
        if document.get("version") != VERSION:
            raise StateError(
                f"a state of alerts has version {document.get('version')}, and this tidegate reads "
                f"{VERSION}: upgrade tidegate"
            )
        try:
            plain = dict(document["state"])
            for name, kind in (
                ("episodes", Episode),
                ("incidents", Incident),
                ("silences", Silence),
                ("deliveries", Delivery),
            ):
                plain[name] = {key: kind(**value) for key, value in plain[name].items()}
            return cls(**plain)
        except (KeyError, TypeError, AttributeError) as error:
            raise StateError(f"a state of alerts is damaged ({error}): restore it") from error
