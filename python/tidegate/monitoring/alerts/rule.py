"""One rule: what must hold, for how long, how grave it is, and who is told when."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.configuration.table import Table
from tidegate.errors import ConfigurationError
from tidegate.monitoring.alerts.conditions import KINDS, Condition, Selector

__all__ = ["SEVERITIES", "Policy", "Rule", "Step", "rules_of"]

SEVERITIES: Final = ("critical", "warning", "info")
"""How grave an alert is, the gravest first."""

MOST_RULES: Final = 500

REPORTED_RULE: Final = "rollout aborted"
"""The name of what is not looked for but reported; no other rule can have it."""

MOST_STEPS: Final = 10

RESERVED: Final = ("alertname", "severity", "model", "version", "column", "role", "stage", "rule")
"""Labels that alerts have by themselves."""

GROUPS: Final = ("model", "version", "rule", "column", "severity")
"""What alerts can be grouped by."""

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LONGEST: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation.

    Attributes:
        after: Seconds since the first notification, if nobody has acknowledged by then.
        owner: Whose turn it is, for people.
        channels: Where it is said.
    """

    after: float
    owner: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told when.

    Attributes:
        steps: The first is the first notification; the others follow until somebody acknowledges.
        group_by: Alerts that have these labels in common are told together.
        group_wait: Seconds that a first notification waits for others of its group.
        group_interval: Seconds between two notifications of one group about new alerts.
        repeat: Seconds after which alerts that still fire are told again.
    """

    steps: tuple[Step, ...]
    group_by: tuple[str, ...] = ("model",)
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat: float = 14_400.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: Unique.
        kind: Of its condition.
        condition: What must hold.
        hold: Seconds that it must hold before the rule fires.
        keep: Seconds that it must not hold before the rule is resolved.
        severity: How grave it is.
        labels: Further labels of its alerts.
        summary: What it means, for people.
        runbook: Address of what to do.
        policy: Who is told when.
    """

    name: str
    kind: str
    condition: Condition
    hold: float
    keep: float
    severity: str
    labels: Mapping[str, str]
    summary: str
    runbook: str
    policy: Policy


def policy_of(table: Table, channels: Sequence[str], default: Policy) -> Policy:
    """Reads who is told when.

    Args:
        table: With `channels` or `escalation`, `group_by`, `group_wait`, `group_interval` and
            `repeat`.
        channels: The names of those that there are.
        default: For what is not said.

    Raises:
        ConfigurationError: If a channel is unknown, or a step can never come.
    """
    named, steps = table.texts("channels"), []
    for number, values in enumerate(table.tables("escalation"), 1):
        step = Table(values, f"{table.place}, escalation step {number}")
        after = step.seconds("after", 0.0, most=LONGEST)
        steps.append(Step(after, step.text("owner"), _channels(step, channels)))
        step.done()
        if number > 1 and after <= steps[-2].after:
            raise step.wrong(f"after {after:g} s comes not later than the step before it: raise it")
    if named and steps:
        raise table.wrong("give it either channels or escalation, whose first step has channels")
    if len(steps) > MOST_STEPS:
        raise table.wrong(f"{len(steps)} steps of escalation are too many: at most {MOST_STEPS}")
    if steps and steps[0].after:
        raise table.wrong("the first step of escalation must come at once: set its after to 0")
    if named:
        steps = [Step(0.0, "", _known(table, named, channels))]
    group_by = table.texts("group_by") or default.group_by
    for name in group_by:
        if name not in GROUPS:
            raise table.wrong(f"group_by has {name!r}: choose from {', '.join(GROUPS)}")
    return Policy(
        tuple(steps) or default.steps,
        group_by,
        table.seconds("group_wait", default.group_wait, most=3_600.0),
        table.seconds("group_interval", default.group_interval, least=1.0, most=86_400.0),
        table.seconds("repeat", default.repeat, least=60.0, most=LONGEST),
    )


def _channels(table: Table, known: Sequence[str]) -> tuple[str, ...]:
    found = table.texts("channels")
    if not found:
        raise table.wrong("channels is missing: name at least one")
    return _known(table, found, known)


def _known(table: Table, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}?" if near else "add it to [alerts.channels]"
            raise table.wrong(f"there is no channel {name!r}: {hint}")
    return tuple(dict.fromkeys(names))


def rules_of(
    tables: Sequence[Mapping[str, Any]], channels: Sequence[str] = (), default: Policy | None = None
) -> tuple[Rule, ...]:
    """Reads rules as the settings file has them.

    Args:
        tables: One for each rule.
        channels: The names of the channels.
        default: Who is told when, of rules that say nothing.

    Raises:
        ConfigurationError: If a rule is wrong, in one sentence.

    Example:
        >>> [rule] = rules_of([{"name": "idle", "kind": "no_traffic", "over": "10m"}])
        >>> rule.condition.query()
        'sum by (model) (increase(tidegate_requests_total[10m])) == 0'
    """
    if len(tables) > MOST_RULES:
        raise ConfigurationError(f"{len(tables)} rules are too many: at most {MOST_RULES}")
    found: dict[str, Rule] = {}
    for number, values in enumerate(tables, 1):
        rule = _rule(Table(values, f"rule {number}"), channels, default or Policy(()))
        if rule.name in found:
            raise ConfigurationError(f"two rules are named {rule.name!r}: rename one")
        found[rule.name] = rule
    return tuple(found.values())


def _rule(table: Table, channels: Sequence[str], default: Policy) -> Rule:
    name = table.need("name")
    table.place = f"rule {name!r}"
    if name == REPORTED_RULE:
        raise table.wrong("this is what rollouts report themselves: give it another name")
    kind = table.need("kind")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
        raise table.wrong(f"there is no kind {kind!r}: did you mean {near!r}?")
    severity = table.text("severity", "warning")
    if severity not in SEVERITIES:
        raise table.wrong(f"severity is {severity!r}: choose from {', '.join(SEVERITIES)}")
    labels = table.strings("labels")
    for label in labels:
        if not _LABEL.fullmatch(label) or label in RESERVED:
            raise table.wrong(
                f"labels has {label!r}: use letters, digits and _, and none of {', '.join(RESERVED)}"
            )
    rule = Rule(
        name,
        kind,
        KINDS[kind](table, Selector.take(table)),
        table.seconds("for", 0.0),
        table.seconds("keep", 0.0),
        severity,
        labels,
        table.text("summary"),
        table.text("runbook"),
        policy_of(table, channels, default),
    )
    table.done()
    return rule
