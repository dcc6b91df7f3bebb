"""The same rules as a file for Prometheus, from the same settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from tidegate.monitoring.alerts.conditions import duration
from tidegate.monitoring.alerts.rule import Rule

__all__ = ["rule_file"]


def rule_file(rules: Sequence[Rule], *, every: float = 15.0) -> str:
    """A rule file of Prometheus.

    Each rule becomes an alerting rule with the same name, condition, time and severity. Who is told
    is Alertmanager's affair there.

    Args:
        rules: As the settings have them.
        every: Seconds between two evaluations.

    Returns:
        YAML.

    Example:
        >>> from tidegate.monitoring.alerts import rules_of
        >>> [rule] = rules_of([{"name": "idle", "kind": "no_traffic", "for": "1m"}])
        >>> print(rule_file([rule]))
        # Written by tidegate alerts rules --prometheus.
        groups:
          - name: "tidegate"
            interval: "15s"
            rules:
              - alert: "idle"
                expr: "sum by (model) (increase(tidegate_requests_total[10m])) == 0"
                for: "1m"
                labels:
                  severity: "warning"
        <BLANKLINE>
    """
    lines = [
        "# Written by tidegate alerts rules --prometheus.",
        "groups:",
        '  - name: "tidegate"',
        f"    interval: {_text(duration(every))}",
        "    rules:" if rules else "    rules: []",
    ]
    for rule in rules:
        lines += [
            f"      - alert: {_text(rule.name)}",
            f"        expr: {_text(rule.condition.query())}",
        ]
        if rule.hold:
            lines.append(f"        for: {_text(duration(rule.hold))}")
        if rule.keep:
            lines.append(f"        keep_firing_for: {_text(duration(rule.keep))}")
        lines += _table("labels", {"severity": rule.severity, **rule.labels})
        # Braces would be read as a template.
        notes = {"summary": _literal(rule.summary), "runbook_url": _literal(rule.runbook)}
        lines += _table("annotations", {name: text for name, text in notes.items() if text})
    return "\n".join([*lines, ""])


def _table(name: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    return [f"        {name}:", *(f"          {key}: {_text(v)}" for key, v in values.items())]


def _literal(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def _text(text: str) -> str:
    """A text as JSON writes it, which YAML reads as the same."""
    return orjson.dumps(text).decode()
