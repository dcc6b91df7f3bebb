"""One look at everything: metrics, rules, the shared journal, notifications. No thread, no sleep."""

from __future__ import annotations

import logging
import queue
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from tidegate.errors import StorageError, TidegateError
from tidegate.monitoring.alerts.channels import Alert, Channel, Message
from tidegate.monitoring.alerts.channels.alertmanager import REFRESH_SECONDS
from tidegate.monitoring.alerts.evaluation import Evaluation, Turn
from tidegate.monitoring.alerts.history import History, kept
from tidegate.monitoring.alerts.journal import Journal
from tidegate.monitoring.alerts.planning import Notice, plan
from tidegate.monitoring.alerts.presence import BEAT_SECONDS, DEAD_SECONDS, Presence
from tidegate.monitoring.alerts.rule import Policy, Rule
from tidegate.monitoring.alerts.signals import TOTAL, Source
from tidegate.monitoring.alerts.state import Episode, State

__all__ = ["Engine", "Sending"]

LOG: Final = logging.getLogger("tidegate.alerts")

LEAST_HORIZON: Final = 7_200.0
"""Seconds of history that are kept for incidents, whatever the rules need."""


class Sending(Protocol):
    """What takes notifications: see `Dispatcher`."""

    def put(self, channel: str, message: Message) -> None:
        """Queues a notification for a channel."""


class Engine:
    """The alerts of one replica, and its part in those of all.

    Args:
        rules: What is looked at.
        channels: Where alerts are told, by name.
        journal: What all replicas share.
        presence: Who is alive.
        replica: This one's name.
        sources: What yields series.
        sending: What takes notifications.
        link: Address at which people reach this server.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        channels: Mapping[str, Channel],
        journal: Journal,
        presence: Presence,
        replica: str,
        *,
        sources: Iterable[Source],
        sending: Sending | None = None,
        link: str | None = None,
    ) -> None:
        self.rules: Final = {rule.name: rule for rule in rules}
        self.channels: Final = channels
        self.journal: Final = journal
        self.replica: Final = replica
        horizons = [rule.condition.horizon for rule in rules]
        self.history: Final = History(max([LEAST_HORIZON, *horizons]) * 1.1)
        self.evaluation: Final = Evaluation(rules)
        self.sending = sending
        self.on_record: Callable[[Mapping[str, Any]], None] | None = None
        self._presence = presence
        self._sources = list(sources)
        self._link = (link or "").rstrip("/")
        self._outcomes: queue.SimpleQueue[tuple[str, str, str | None]] = queue.SimpleQueue()
        self._under_way: dict[str, dict[str, str | None]] = {}
        self._awaited: dict[str, set[str]] = {}
        self._alive: set[str] = {replica}
        self._asked = float("-inf")
        self._refreshed = float("-inf")
        self._begun = float("inf")
        self.problem: str | None = None

    @property
    def alive(self) -> set[str]:
        """The replicas that are alive, as far as is known."""
        return self._alive

    @property
    def state(self) -> State:
        """What all replicas agree on."""
        return self.journal.state

    def policy_of(self, rule: str) -> Policy | None:
        """Who is told when of a rule's alerts."""
        found = self.rules.get(rule)
        return None if found is None else found.policy

    def outcome(self, notification: str, channel: str, problem: str | None) -> None:
        """Takes what became of a notification, from any thread."""
        self._outcomes.put((notification, channel, problem))

    # ---- one look

    def tick(self, now: float) -> None:
        """Looks at everything once.

        What is out of reach is logged once and tried again at the next look.

        Args:
            now: Seconds since 1970; never less than before.
        """
        self._begun = min(self._begun, now)
        self._take(now)
        self._reach(now)
        for turn in self.evaluation.look(self.history, now, self._served()):
            self._turn(turn, now)
        for turn in self.evaluation.holding():
            # Taken over from a replica that is gone, or taken from this one as if it were.
            if not _holds(self.state, turn.alert, self.replica):
                self._turn(turn, now)
        for notice in plan(self.state, self.policy_of, now):
            self._tell(notice, now)
        self._outcomes_taken(now)
        self._refresh(now)

    def _take(self, now: float) -> None:
        samples = []
        for source in self._sources:
            try:
                samples += [sample for sample in source.samples() if kept(sample)]
            except TidegateError as error:
                LOG.error("a source of signals cannot be read: %s", error)
        self.history.take(now, samples)

    def _reach(self, now: float) -> None:
        """Reads the store, and says there that this replica is alive."""
        try:
            self.journal.refresh()
            self._presence.beat(now, self.evaluation.pending())
            if now - self._asked >= BEAT_SECONDS:
                self._alive = self._presence.alive(now) | {self.replica}
                orphans = {
                    alert
                    for alert, name in self.state.firing.items()
                    if not self._alive & set(self.state.episodes[name].holders)
                }
                young = now - self._begun <= 2 * DEAD_SECONDS
                inherited = self._presence.inherited(now, young=young)
                self.evaluation.inherit(inherited, self.state, orphans)
                self._take_over(now)
                self._asked = now
        except StorageError as error:
            if self.problem is None:
                LOG.warning("the store of alerts is out of reach: %s", error)
            self.problem = str(error)
        else:
            self.problem = None

    def _served(self) -> set[tuple[str, str]]:
        found = set()
        for labels in self.history.latest(TOTAL):
            own = dict(labels)
            found.add((own.get("model", ""), own.get("version", "")))
        return found

    def _turn(self, turn: Turn, now: float) -> None:
        if turn.change == "released":
            episode = self.state.episode(turn.alert)
            if episode is None:
                return
            gone = [name for name in episode.holders if name not in self._alive]
            holders = [self.replica, *gone]
            self._record(
                {
                    "type": "released",
                    "at": now,
                    "by": self.replica,
                    "alert": turn.alert,
                    "episode": episode.id,
                    "holders": holders,
                },
                unless=lambda state: state.episode(turn.alert) is None,
            )
            return
        rule, finding = turn.rule, turn.finding
        assert rule is not None
        assert finding is not None
        labels = {**rule.labels, **dict(finding.labels)}
        shared = ("model",) if "model" in labels else ()
        self._record(
            {
                "type": "held",
                "at": now,
                "by": self.replica,
                "alert": turn.alert,
                "rule": rule.name,
                "title": rule.summary or rule.name,
                "severity": rule.severity,
                "labels": labels,
                "group": ",".join(f"{name}={labels[name]}" for name in shared),
                "value": finding.value,
                "limit": finding.limit,
                "text": finding.text,
            },
            unless=lambda state: _holds(state, turn.alert, self.replica),
        )

    def _record(
        self, body: dict[str, Any], *, unless: Callable[[State], bool] | None = None
    ) -> bool:
        mine = self.journal.append(body, unless=unless)
        if mine and self.on_record is not None:
            self.on_record(body)
        return mine

    # ---- notifications

    def _tell(self, notice: Notice, now: float) -> None:
        channels = [name for name in notice.channels if name in self.channels]
        body: dict[str, Any] = {
            "type": "notified",
            "at": now,
            "by": self.replica,
            "id": uuid.uuid4().hex,
            "kind": notice.kind,
            "group": notice.group,
            "episodes": list(notice.episodes),
            "channels": channels,
            "step": notice.step,
            "owner": notice.owner,
        }
        # Another replica may have said it since: then it is not due any more.
        seen = self.journal.foreign
        mine = self._record(
            body,
            unless=lambda state: (
                self.journal.foreign > seen and notice not in plan(state, self.policy_of, now)
            ),
        )
        if mine:
            self._send(body, channels)

    def _send(self, body: Mapping[str, Any], channels: Sequence[str]) -> None:
        self._under_way[body["id"]] = {}
        self._awaited[body["id"]] = set(channels)
        message = self._message(body)
        for name in channels:
            if self.sending is None or not message.alerts:
                self.outcome(body["id"], name, None)
            else:
                self.sending.put(name, message)
        if not channels:
            self.outcome(body["id"], "", None)

    def _message(self, body: Mapping[str, Any]) -> Message:
        episodes = [
            self.state.episodes[name] for name in body["episodes"] if name in self.state.episodes
        ]
        incident = episodes[0].incident if episodes else ""
        resolved = body["kind"] == "resolved"
        return Message(
            body["id"],
            body["kind"],
            body["at"],
            tuple(self.alert(found, resolved=resolved) for found in episodes),
            incident,
            body["owner"],
            f"{self._link}/v1/incidents/{incident}" if self._link and incident else "",
        )

    def alert(self, episode: Episode, *, resolved: bool = True) -> Alert:
        """A firing as it is told."""
        rule = self.rules.get(episode.rule)
        return Alert(
            key=episode.id,
            rule=episode.rule,
            severity=episode.severity,
            labels=episode.labels,
            text=episode.text,
            value=episode.value,
            started=episode.started,
            resolved=episode.resolved if resolved else None,
            summary=rule.summary if rule else "",
            runbook=rule.runbook if rule else "",
        )

    def _outcomes_taken(self, now: float) -> None:
        while True:
            try:
                notification, channel, problem = self._outcomes.get_nowait()
            except queue.Empty:
                return
            found = self._under_way.get(notification)
            if found is None:
                continue
            found[channel] = problem
            if self._awaited[notification] <= set(found):
                del self._under_way[notification], self._awaited[notification]
                failed = {name: said for name, said in found.items() if said is not None}
                self.journal.append(
                    {
                        "type": "delivered",
                        "at": now,
                        "by": self.replica,
                        "notification": notification,
                        "failed": failed,
                    }
                )

    def _take_over(self, now: float) -> None:
        """Sends again what a replica that is gone had decided and may not have sent.

        Only to channels that recognise what they have already: nobody is told twice.
        """
        for name, delivery in list(self.state.deliveries.items()):
            if delivery.by in self._alive:
                continue
            dead = delivery.by
            taken = self.journal.append(
                {"type": "taken", "at": now, "by": self.replica, "notification": name},
                unless=lambda state, name=name, dead=dead: (  # type: ignore[misc]
                    name not in state.deliveries or state.deliveries[name].by != dead
                ),
            )
            if taken:
                known = [self.channels[c] for c in delivery.body["channels"] if c in self.channels]
                self._send(delivery.body, [found.name for found in known if found.repeatable])
                for found in known:
                    if not found.repeatable:
                        self._awaited[name].add(found.name)
                        self.outcome(
                            name, found.name, f"{dead} ended before it was known to arrive"
                        )

    def _refresh(self, now: float) -> None:
        """Keeps alerts alive where they would end by themselves."""
        if self.sending is None or now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        wanted: dict[str, list[Episode]] = {}
        for name in self.state.firing.values():
            episode = self.state.episodes[name]
            if self.replica in episode.holders:
                for channel in episode.channels:
                    if channel in self.channels and self.channels[channel].refreshed:
                        wanted.setdefault(channel, []).append(episode)
        for channel, episodes in wanted.items():
            alerts = tuple(self.alert(episode) for episode in episodes)
            message = Message(f"refresh-{uuid.uuid4().hex}", "repeated", now, alerts)
            self.sending.put(channel, message)

    def leave(self, now: float) -> None:
        """Ends this replica's part."""
        self._outcomes_taken(now)
        self._presence.leave(now, self.evaluation.pending())


def _holds(state: State, alert: str, replica: str) -> bool:
    episode = state.episode(alert)
    return episode is not None and replica in episode.holders
