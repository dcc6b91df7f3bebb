"""Alerts beside a runtime: a thread that looks at the rules, and what people may do about them."""

from __future__ import annotations

import logging
import tempfile
import threading
import uuid
from collections.abc import Mapping
from typing import Any, Final

from tidegate.errors import (
    ConfigurationError,
    InputError,
    NotFoundError,
    StorageError,
    TidegateError,
)
from tidegate.monitoring.alerts.channels import (
    Alert,
    ChannelError,
    Message,
    channels_of,
    post,
)
from tidegate.monitoring.alerts.clock import Clock
from tidegate.monitoring.alerts.conditions import Finding
from tidegate.monitoring.alerts.conditions.reported import Reported
from tidegate.monitoring.alerts.delivery import PAUSES, TIMEOUT_SECONDS, Dispatcher
from tidegate.monitoring.alerts.engine import Engine
from tidegate.monitoring.alerts.journal import Journal
from tidegate.monitoring.alerts.planning import silenced
from tidegate.monitoring.alerts.presence import Presence, replica_name
from tidegate.monitoring.alerts.rule import REPORTED_RULE, Rule
from tidegate.monitoring.alerts.settings import Alerts
from tidegate.monitoring.alerts.silence import silence_of
from tidegate.monitoring.alerts.sources import sources_of
from tidegate.monitoring.alerts.state import Episode, Incident, fingerprint
from tidegate.monitoring.incidents.archive import recalled, shown, told
from tidegate.monitoring.incidents.book import Book
from tidegate.monitoring.incidents.evidence import Changes, Failing, Watched, gathered
from tidegate.monitoring.incidents.review import review
from tidegate.storage import FolderStore, Store, open_store

__all__ = ["Watch"]

LOG: Final = logging.getLogger("tidegate.alerts")

FOLDER: Final = "alerts"
"""Where alerts and incidents are beside the revisions, if the settings name no storage."""

STOP_SECONDS: Final = 10.0
"""How long a look that is under way may take once the server ends."""

MOST_NOTE_CHARACTERS: Final = 4_000


class Watch:
    """Looks at the rules every few seconds, in a thread of its own.

    No request waits for it. What it cannot reach, it says once and tries again.

    Args:
        settings: Rules, channels, storage.
        watched: The runtime.
        effective: All settings of the server as texts, without secrets; what has changed since the
            last start is a suspect in every incident.
        failing: Where examples of failing requests are.
        revised: What knows how traffic has changed.
        clock: What tells the time.
        pauses: Seconds before each further attempt of a notification.
        store: Where alerts and incidents are if the settings name no storage.

    Raises:
        ConfigurationError: If a channel is wrong.
        StateError: If what is stored is damaged.

    Example:
        >>> from tidegate.runtime import Runtime
        >>> with Runtime() as runtime:
        ...     watch = Watch(Alerts(), runtime)
        ...     watch.look()
        ...     watch.alerts()["alerts"]
        ...     watch.close()
        []
    """

    def __init__(
        self,
        settings: Alerts,
        watched: Watched,
        *,
        effective: Mapping[str, str] | None = None,
        failing: Failing | None = None,
        revised: Changes | None = None,
        clock: Clock | None = None,
        pauses: tuple[float, ...] = PAUSES,
        store: Store | None = None,
    ) -> None:
        self._settings = settings
        self._watched = watched
        self._effective = dict(effective or {})
        self._failing, self._revised = failing, revised
        self._clock = clock or Clock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        store = self._store(settings.storage, store)
        channels = channels_of(settings.channels)
        self._book = Book(store)
        self._journal = Journal(store)
        self._replica = replica_name()
        self._dispatcher = Dispatcher(channels, self._outcome, pauses)
        self._reported = Reported(self._reports)
        reported = Rule(
            name=REPORTED_RULE,
            kind="reported",
            condition=self._reported,
            hold=0.0,
            keep=0.0,
            severity="critical",
            labels={},
            summary="",
            runbook="",
            policy=settings.policy(),
        )
        self._engine = Engine(
            (*settings.built(), reported),
            channels,
            self._journal,
            Presence(store, self._replica),
            self._replica,
            sources=sources_of(watched),
            sending=self._dispatcher,
            link=settings.link,
        )
        self._engine.on_record = self._recorded
        self._guard = threading.RLock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._gathered: set[str] = set()
        self._said: str | None = None
        self._before: dict[str, str] = {}
        self._open()

    def _store(self, location: str | None, default: Store | None) -> Store:
        if location is not None:
            return open_store(location)
        if default is not None:
            return default
        if self._settings.rules:
            LOG.warning(
                "alerts.storage is not set: alerts and incidents are forgotten when the server ends"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-alerts-")
        return FolderStore(self._folder.name)

    def _open(self) -> None:
        try:
            self._journal.open()
        except StorageError as error:
            LOG.warning("the store of alerts is out of reach, they begin in memory: %s", error)
            self._journal.begin_offline()
        self._clock.at_least(self._journal.state.at)
        self._compare()
        self._before = dict(self._journal.state.served)

    def _compare(self) -> None:
        """Records what the settings are, or what in them has changed since the last start."""
        now = self._clock.now()
        if self._journal.empty:
            # What has always been so is no change.
            body: dict[str, Any] = {"type": "configured", "at": now, "by": self._replica}
            body |= {"settings": self._effective, "served": self._served()}
            self._journal.append(body, unless=lambda state: bool(state.settings or state.served))
        known = self._journal.state.settings
        for name in sorted(known.keys() | self._effective.keys()):
            self._change(now, "setting", name, known.get(name, ""), self._effective.get(name, ""))

    def _change(self, now: float, what: str, name: str, before: str, after: str) -> None:
        if before != after:
            body = {"type": "changed", "at": now, "by": self._replica, "what": what}
            self._journal.append({**body, "name": name, "before": before, "after": after})

    def _outcome(self, notification: str, channel: str, problem: str | None) -> None:
        self._engine.outcome(notification, channel, problem)

    # ---- the thread

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="tidegate-alerts", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            self.look()
            self._closing.wait(self._settings.every)

    def look(self) -> None:
        """Looks at everything once; what goes wrong is logged, and the next look goes on."""
        try:
            with self._guard:
                now = self._clock.now()
                self._deployments(now)
                self._engine.tick(now)
                self._incidents(now)
                self._book.flush()
            self._said = None
        except Exception as error:
            # Nobody is told of anything any more if this thread ends.
            said = f"{type(error).__name__}: {error}"
            if said != self._said:
                LOG.error("alerts were not looked at: %s", said, exc_info=_bug(error))
            self._said = said

    def _served(self) -> dict[str, str]:
        found = {}
        for deployment in self._watched.deployments():
            digest = f" ({deployment.digest[:19]})" if deployment.digest else ""
            found[deployment.name] = f"{deployment.version}{digest}"
        return found

    def _deployments(self, now: float) -> None:
        served = self._served()
        for name in sorted(served.keys() | self._before.keys()):
            before, after = self._before.get(name, ""), served.get(name, "")
            # Another replica may have said it.
            if before != after and self._journal.state.served.get(name, "") != after:
                self._change(now, "deployment", name, before, after)
        self._before = served

    def _reports(self) -> None:
        """Holds what any replica has reported until its incident is resolved, whoever ends meanwhile."""
        state = self._engine.state
        for found in state.episodes.values():
            if found.rule != REPORTED_RULE:
                continue
            incident = state.incidents.get(found.incident)
            until = found.resolved if incident is None else incident.resolved
            if until is not None:
                self._reported.end(found.labels, until)
            elif found.resolved is None:
                own = tuple(sorted(found.labels.items()))
                self._reported.keep(Finding(own, True, None, None, found.text), found.started)

    def _recorded(self, body: Mapping[str, Any]) -> None:
        """Writes what this replica has recorded into the incident that it belongs to."""
        state = self._engine.state
        if body["type"] == "held":
            episode = state.episode(body["alert"])
            if episode is not None and episode.started == body["at"]:
                incident = state.incidents[episode.incident]
                if incident.episodes == [episode.id]:
                    opened = {"type": "opened", "title": incident.title, "group": incident.group}
                    about = {"at": body["at"], "severity": incident.severity}
                    self._book.write(incident.id, {**opened, **about})
                self._book.write(incident.id, _turned(episode, "firing", body["at"]))
        elif body["type"] == "released":
            episode = state.episodes.get(body["episode"])
            if episode is not None and episode.resolved is not None:
                self._book.write(episode.incident, _turned(episode, "resolved", body["at"]))
                found = state.incidents.get(episode.incident)
                if found is not None and (found.resolved, found.resolver) == (
                    body["at"],
                    "rules",
                ):
                    record = {"type": "resolved", "at": body["at"], "author": "rules"}
                    self._book.write(found.id, record)
        elif body["type"] == "notified":
            names = {
                state.episodes[name].incident for name in body["episodes"] if name in state.episodes
            }
            about = {key: body[key] for key in ("type", "at", "kind", "channels", "owner")}
            for name in sorted(names):
                self._book.write(name, about)

    def _incidents(self, now: float) -> None:
        """Gathers what is known about incidents that have just opened."""
        for incident in list(self._engine.state.incidents.values()):
            if incident.id in self._gathered or incident.resolved is not None:
                continue
            mine = incident.opener == self._replica
            if not mine and incident.opener in self._engine.alive:
                continue
            self._gathered.add(incident.id)
            if not mine and self._has_evidence(incident.id):
                continue
            state, history = self._engine.state, self._engine.history
            evidence = gathered(
                incident,
                state,
                history,
                self._watched,
                now,
                failing=self._failing,
                revised=self._revised,
            )
            self._book.write(incident.id, evidence)

    def _has_evidence(self, name: str) -> bool:
        try:
            return any(record["type"] == "evidence" for record in self._book.read(name))
        except TidegateError:
            return False

    def close(self) -> None:
        """Ends the thread, and sends what is queued for a few seconds. Twice does no harm."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            self._thread = None
        self._dispatcher.close()
        if self._guard.acquire(timeout=STOP_SECONDS):
            try:
                self._engine.leave(self._clock.now())
            except TidegateError as error:
                LOG.warning("the end of this replica is not on record: %s", error)
            finally:
                self._guard.release()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    # ---- what people see and do

    def alerts(self) -> dict[str, Any]:
        """Rules, alerts, silences and channels, as plain values."""
        with self._guard:
            state, now = self._engine.state, self._clock.now()
            firing = [state.episodes[name] for name in state.firing.values()]
            standings = self._dispatcher.standings()
            return {
                "replica": self._replica,
                "replicas": sorted(self._engine.alive),
                "problem": self._engine.problem or self._said,
                "rules": [
                    {"name": rule.name, "kind": rule.kind, "severity": rule.severity}
                    for rule in self._engine.rules.values()
                    if rule.name != REPORTED_RULE
                ],
                "alerts": [
                    {
                        **self._engine.alert(found).to_json(),
                        "incident": found.incident,
                        "acknowledged": found.acknowledged,
                        "silenced": silenced(state, found, now),
                        "told": found.told,
                    }
                    for found in sorted(firing, key=lambda found: found.started)
                ],
                "pending": [
                    {"rule": rule, "labels": dict(labels), "since": since, "text": text}
                    for rule, labels, since, text in self._engine.evaluation.shown()
                ],
                "silences": [
                    {
                        "id": found.id,
                        "matchers": dict(found.matchers),
                        "start": found.start,
                        "end": found.end,
                        "comment": found.comment,
                        "author": found.author,
                    }
                    for found in state.silences.values()
                    if found.end > now
                ],
                "channels": [
                    {
                        "name": name,
                        "kind": type(channel).__name__.lower(),
                        "sent": standings[name].sent,
                        "failed": standings[name].failed,
                        "queued": standings[name].queued,
                        "problem": standings[name].problem,
                    }
                    for name, channel in self._engine.channels.items()
                ],
                "failures": list(state.failures),
            }

    def silence(self, document: Mapping[str, Any], author: str) -> str:
        """Silences alerts for some time.

        Args:
            document: `matchers`, `seconds` or `until`, `comment`.
            author: Who asks.

        Returns:
            The silence's name.

        Raises:
            InputError: If it matches nothing in particular, or has no end.
        """
        with self._guard:
            now = self._clock.now()
            name = uuid.uuid4().hex[:8]
            body = {"type": "silenced", "at": now, "by": self._replica, "id": name}
            self._journal.append({**body, **silence_of(document, now), "author": author})
            return name

    def unsilence(self, name: str, author: str) -> None:
        """Ends a silence.

        Raises:
            NotFoundError: If there is none of this name.
        """
        with self._guard:
            if name not in self._engine.state.silences:
                raise NotFoundError(f"there is no silence {name!r}: see tidegate alerts list")
            body = {"type": "unsilenced", "at": self._clock.now(), "by": self._replica}
            self._journal.append({**body, "id": name, "author": author})

    def test(self, channel: str) -> None:
        """Sends one notification that says that it is a test, and waits for the answer.

        Raises:
            NotFoundError: If there is no such channel.
            ConfigurationError: If the channel does not take it; the message says why.
        """
        found = self._engine.channels.get(channel)
        if found is None:
            names = ", ".join(self._engine.channels) or "none"
            raise NotFoundError(f"there is no channel {channel!r}: the channels are {names}")
        now = self._clock.now()
        alert = Alert(
            key=f"test-{round(now * 1000)}",
            rule="test",
            severity="info",
            labels={"model": "test"},
            text="a test of the channel: nothing is wrong",
            value=None,
            started=now,
            resolved=None,
        )
        ended = Alert(**{**{f: getattr(alert, f) for f in Alert.__slots__}, "resolved": now})
        try:
            # What it opens, it closes again.
            for each in (alert, ended):
                for one in found.posts(Message(uuid.uuid4().hex, "test", now, (each,))):
                    post(one, timeout=TIMEOUT_SECONDS)
        except ChannelError as error:
            raise ConfigurationError(
                f"channel {channel!r} does not take a notification: {error}"
            ) from None

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident that is remembered, the newest first."""
        with self._guard:
            found = sorted(self._engine.state.incidents.values(), key=lambda i: -i.opened)
            return [self._incident(incident) for incident in found]

    def incident(self, name: str) -> dict[str, Any]:
        """One incident with its records and its timeline.

        Raises:
            NotFoundError: If there is none of this name.
            StorageError: If the store cannot be read.
        """
        records = self._book.read(name)
        with self._guard:
            known = self._engine.state.incidents.get(name)
            plain = recalled(name, records) if known is None else self._incident(known)
        return told(plain, records)

    def review(self, name: str) -> str:
        """One incident as a Markdown review.

        Raises:
            NotFoundError: If there is none of this name.
            StorageError: If the store cannot be read.
        """
        found = self.incident(name)
        return review(found, found["records"])

    def report(self, labels: Mapping[str, str], text: str, record: Mapping[str, Any]) -> str | None:
        """Opens an incident for what no rule has found: a rollout that was given up.

        It goes on until somebody resolves it, for a week at most. People are told as of a rule that
        names no channels.

        Args:
            labels: What it is about, `model` among them; of the same labels there is one at a time.
            text: What has happened, in one sentence.
            record: What is kept with the incident, beside what is gathered for each one: `type`, and
                plain values.

        Returns:
            The incident's name; `None` while it could not be opened, which the log says.
        """
        own = tuple(sorted(labels.items()))
        with self._guard:
            now = self._clock.now()
            self._reported.add(Finding(own, True, None, None, text), now)
            self.look()
            episode = self._engine.state.episode(fingerprint(REPORTED_RULE, own))
            if episode is None:
                return None
            self._book.write(episode.incident, {**record, "at": now})
            return episode.incident

    def acknowledge(self, name: str, author: str) -> None:
        """Says that somebody has an incident in hand: nobody further is told of it.

        Raises:
            NotFoundError: If there is none of this name that is open.
        """
        self._said_by(name, "acknowledged", author)

    def resolve(self, name: str, author: str) -> None:
        """Closes an incident, whatever its alerts do.

        Raises:
            NotFoundError: If there is none of this name that is open.
        """
        self._said_by(name, "closed", author)

    def note(self, name: str, author: str, text: str) -> None:
        """Adds a note.

        Raises:
            InputError: If the note is empty or too long.
            NotFoundError: If there is no incident of this name.
        """
        if not text.strip() or len(text) > MOST_NOTE_CHARACTERS:
            raise InputError(
                f"a note has {len(text)} characters: give it 1 to {MOST_NOTE_CHARACTERS}"
            )
        self._book.read(name)
        with self._guard:
            now = self._clock.now()
            said = text.strip()
            self._book.write(name, {"type": "noted", "at": now, "author": author, "text": said})

    def _said_by(self, name: str, kind: str, author: str) -> None:
        with self._guard:
            found = self._engine.state.incidents.get(name)
            if found is None or found.resolved is not None:
                raise NotFoundError(f"there is no open incident {name!r}: see tidegate incidents")
            now = self._clock.now()
            body = {"type": kind, "at": now, "by": self._replica}
            self._journal.append({**body, "incident": name, "author": author})
            word = "resolved" if kind == "closed" else kind
            self._book.write(name, {"type": word, "at": now, "author": author})

    def _incident(self, incident: Incident) -> dict[str, Any]:
        state = self._engine.state
        found = [state.episodes[name] for name in incident.episodes if name in state.episodes]
        return shown(incident, [self._engine.alert(episode).to_json() for episode in found])


def _turned(episode: Episode, status: str, at: float) -> dict[str, Any]:
    return {
        "type": "alert",
        "at": at,
        "status": status,
        "rule": episode.rule,
        "severity": episode.severity,
        "labels": episode.labels,
        "value": episode.value,
        "limit": episode.limit,
        "text": episode.text,
    }


def _bug(error: Exception) -> bool:
    return not isinstance(error, TidegateError)
