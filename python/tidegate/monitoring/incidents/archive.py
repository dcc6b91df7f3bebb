"""Incidents as they are on record: read without anything that evaluates rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.monitoring.alerts.channels import Alert
from tidegate.monitoring.alerts.journal import Journal
from tidegate.monitoring.alerts.state import Episode, Incident
from tidegate.monitoring.incidents.book import Book
from tidegate.monitoring.incidents.review import review, timeline
from tidegate.storage import Store

__all__ = ["Archive", "recalled", "shown", "told"]


class Archive:
    """The incidents of a store.

    Args:
        store: Where they are; nothing is written there.

    Raises:
        StorageError: If it cannot be read.
        StateError: If something in it is damaged.

    Example:
        >>> import tempfile
        >>> from tidegate.storage import FolderStore
        >>> Archive(FolderStore(tempfile.mkdtemp())).incidents()
        []
    """

    def __init__(self, store: Store) -> None:
        self._book = Book(store)
        journal = Journal(store)
        journal.open()
        self._state = journal.state

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident that is remembered, the newest first."""
        found = sorted(self._state.incidents.values(), key=lambda i: -i.opened)
        return [self._shown(incident) for incident in found]

    def incident(self, name: str) -> dict[str, Any]:
        """One incident with its records and its timeline.

        Raises:
            NotFoundError: If there is none of this name.
            StorageError: If the store cannot be read.
        """
        records = self._book.read(name)
        known = self._state.incidents.get(name)
        return told(recalled(name, records) if known is None else self._shown(known), records)

    def review(self, name: str) -> str:
        """One incident as a Markdown review.

        Raises:
            NotFoundError: If there is none of this name.
            StorageError: If the store cannot be read.
        """
        found = self.incident(name)
        return review(found, found["records"])

    def _shown(self, incident: Incident) -> dict[str, Any]:
        episodes = self._state.episodes
        found = [episodes[name] for name in incident.episodes if name in episodes]
        return shown(incident, [_alert(episode) for episode in found])


def shown(incident: Incident, alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An incident as plain values.

    Args:
        incident: The incident.
        alerts: Its alerts, as plain values.
    """
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity,
        "status": incident.status,
        "group": incident.group,
        "opened": incident.opened,
        "acknowledged": incident.acknowledged,
        "acknowledged_at": incident.acknowledged_at,
        "resolved": incident.resolved,
        "resolver": incident.resolver,
        "alerts": list(alerts),
    }


def recalled(name: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An incident that the state has forgotten, from its own records.

    Args:
        name: Its name.
        records: At least one.
    """
    first = {record["type"]: record for record in reversed(records)}
    opened, ended = first.get("opened", {}), first.get("resolved")
    taken = first.get("acknowledged")
    return {
        "id": name,
        "title": opened.get("title", ""),
        "severity": opened.get("severity", ""),
        "status": "resolved" if ended else "acknowledged" if taken else "open",
        "group": opened.get("group", ""),
        "opened": records[0]["at"],
        "acknowledged": taken["author"] if taken else None,
        "acknowledged_at": taken["at"] if taken else None,
        "resolved": ended["at"] if ended else None,
        "resolver": ended["author"] if ended else None,
        "alerts": [],
    }


def told(incident: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An incident with its records, and what they say in the order of time.

    Args:
        incident: As plain values.
        records: Its own.
    """
    lines = [{"at": at, "text": text} for at, text in timeline(records)]
    return {**incident, "timeline": lines, "records": list(records)}


def _alert(episode: Episode) -> dict[str, Any]:
    return Alert(
        key=episode.id,
        rule=episode.rule,
        severity=episode.severity,
        labels=episode.labels,
        text=episode.text,
        value=episode.value,
        started=episode.started,
        resolved=episode.resolved,
    ).to_json()
