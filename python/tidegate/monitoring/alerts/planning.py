"""Who is to be told what, now: a pure function of the shared state, the policies and the time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tidegate.monitoring.alerts.rule import Policy
from tidegate.monitoring.alerts.state import Episode, State

__all__ = ["Notice", "group_of", "plan"]

Kind = Literal["firing", "escalated", "repeated", "resolved"]

NOBODY: Final = Policy(())


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to say, on some channels.

    Attributes:
        kind: What has happened.
        group: Of alerts that are told together.
        episodes: The firings that it is about.
        channels: Where.
        step: Of the escalation.
        owner: Whose turn it is.
    """

    kind: Kind
    group: str
    episodes: tuple[str, ...]
    channels: tuple[str, ...]
    step: int = 0
    owner: str = ""


def group_of(labels: Mapping[str, str], policy: Policy) -> str:
    """The group that an alert is told in: what it has in common, and who is told.

    Example:
        >>> one, other = {"model": "m", "column": "x"}, {"model": "m", "column": "y"}
        >>> group_of(one, Policy(())) == group_of(other, Policy(()))
        True
    """
    shared = ",".join(f"{name}={labels.get(name, '')}" for name in policy.group_by)
    told = hashlib.sha256(repr(policy).encode()).hexdigest()[:8]
    return f"{shared}/{told}"


def plan(state: State, policy_of: Callable[[str], Policy | None], now: float) -> list[Notice]:
    """Everything that is due.

    Each notice that is recorded changes the state such that it is not due again; that is all that
    keeps anybody from being told twice.

    Args:
        state: What all replicas agree on.
        policy_of: By the name of a rule; `None` where there is no such rule any more.
        now: Seconds since 1970.
    """
    groups: dict[str, tuple[Policy, list[Episode]]] = {}
    for episode in state.episodes.values():
        if not episode.over:
            policy = policy_of(episode.rule) or NOBODY
            key = group_of({**episode.labels, "rule": episode.rule}, policy)
            groups.setdefault(key, (policy, []))[1].append(episode)
    notices: list[Notice] = []
    for key, (policy, episodes) in groups.items():
        notices += _group(state, key, policy, episodes, now)
    return notices


def _group(
    state: State, key: str, policy: Policy, episodes: list[Episode], now: float
) -> list[Notice]:
    told = [found for found in episodes if found.told is not None]
    active = [found for found in told if found.resolved is None]
    last = state.groups.get(key, float("-inf"))
    rested = now - last >= policy.group_interval
    notices = []

    ended = [found for found in told if found.resolved is not None]
    if ended and (not active or rested):
        # Those who heard of the begin hear of the end, whatever the rules say by now.
        by_channels: dict[tuple[str, ...], list[str]] = {}
        for found in ended:
            by_channels.setdefault(tuple(found.channels), []).append(found.id)
        notices += [
            Notice("resolved", key, tuple(names), channels)
            for channels, names in by_channels.items()
        ]
    if not policy.steps:
        return notices

    heard = [found for found in episodes if not silenced(state, found, now)]
    new = [found for found in heard if found.told is None and found.resolved is None]
    first = policy.steps[0]
    if new:
        waited = now - min(found.started for found in new) >= policy.group_wait
        if rested if active else waited:
            names = tuple(found.id for found in new)
            notices.append(Notice("firing", key, names, first.channels, 0, first.owner))

    waiting = [found for found in heard if found in active and found.acknowledged is None]
    climbing: dict[int, list[str]] = {}
    again: dict[int, list[str]] = {}
    for found in waiting:
        assert found.told is not None
        above = found.step + 1
        if above < len(policy.steps) and now - found.told >= policy.steps[above].after:
            climbing.setdefault(above, []).append(found.id)
        elif now - found.last >= policy.repeat:
            again.setdefault(min(found.step, len(policy.steps) - 1), []).append(found.id)
    for number, told_of in sorted(climbing.items()):
        step = policy.steps[number]
        notices.append(Notice("escalated", key, tuple(told_of), step.channels, number, step.owner))
    for number, told_of in sorted(again.items()):
        reached = policy.steps[: number + 1]
        channels = tuple(dict.fromkeys(name for step in reached for name in step.channels))
        notices.append(Notice("repeated", key, tuple(told_of), channels, number, reached[-1].owner))
    return notices


def silenced(state: State, episode: Episode, now: float) -> bool:
    """Whether nobody is to be told of a firing just now."""
    labels = {**episode.labels, "rule": episode.rule, "severity": episode.severity}
    return any(silence.covers(labels, now) for silence in state.silences.values())
