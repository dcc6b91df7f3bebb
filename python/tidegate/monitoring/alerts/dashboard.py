"""A dashboard for Grafana on the metrics that tidegate has in Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tidegate.monitoring.alerts.rule import Rule
from tidegate.monitoring.alerts.signals import SIGNALS

__all__ = ["dashboard"]

SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
SELECTED: Final = 'model=~"$model"'

SCHEMA: Final = 39
"""The version of the dashboard's form: Grafana 10 and later read it."""

STAGES: Final = (
    "sum by (stage) (rate(tidegate_stage_seconds_sum{$sel}[$over])) / "
    "(sum by (stage) (rate(tidegate_stage_seconds_count{$sel}[$over])) > 0)"
)

PANELS: Final[tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "Requests a second",
        "reqps",
        ((SIGNALS["requests_per_second"].query, "{{model}} {{version}}"),),
    ),
    (
        "Share of failed requests",
        "percentunit",
        ((SIGNALS["error_ratio"].query, "{{model}} {{version}}"),),
    ),
    (
        "Latency",
        "s",
        (
            (SIGNALS["latency_p50"].query, "p50 {{model}} {{version}}"),
            (SIGNALS["latency_p95"].query, "p95 {{model}} {{version}}"),
            (SIGNALS["latency_p99"].query, "p99 {{model}} {{version}}"),
        ),
    ),
    ("Mean time by stage", "s", ((STAGES, "{{stage}}"),)),
    ("Rows that wait", "short", ((SIGNALS["queue_rows"].query, "{{model}} {{version}}"),)),
    (
        "Refused a second, by reason",
        "reqps",
        (("sum by (reason) (rate(tidegate_queue_refused_total{$sel}[$over]))", "{{reason}}"),),
    ),
    (
        "Drift: PSI of features",
        "none",
        (
            (
                'max by (model, column) (tidegate_drift_psi{$sel,role="feature"})',
                "{{model}} {{column}}",
            ),
        ),
    ),
    (
        "Drift: PSI of predictions",
        "none",
        (
            (
                'max by (model, column) (tidegate_drift_psi{$sel,role="prediction"})',
                "{{model}} {{column}}",
            ),
        ),
    ),
    (
        "Rows that broke a rule of the bundle, a second",
        "short",
        ((SIGNALS["rule_failures_per_second"].query, "{{model}} {{rule}}"),),
    ),
    (
        "Rows not watched, a second",
        "short",
        ((SIGNALS["unwatched_per_second"].query, "{{model}} {{version}}"),),
    ),
)
"""Title, unit, and queries with their legends."""

WIDTH: Final = 12
HEIGHT: Final = 8


def dashboard(rules: Sequence[Rule] = ()) -> dict[str, Any]:
    """The dashboard, ready to be written as JSON and imported.

    Args:
        rules: Those that are to be shown as firing, as `tidegate alerts rules --prometheus` names
            them.

    Returns:
        Plain values.

    Example:
        >>> found = dashboard()
        >>> found["title"], found["panels"][0]["title"]
        ('tidegate', 'Requests a second')
    """
    panels = [
        _panel(number, title, unit, queries) for number, (title, unit, queries) in enumerate(PANELS)
    ]
    if rules:
        names = "|".join(
            sorted(rule.name.replace("\\", "\\\\").replace('"', '\\"') for rule in rules)
        )
        query = f'sum by (alertname, severity) (ALERTS{{alertstate="firing",alertname=~"{names}"}})'
        panels.append(_panel(len(panels), "Alerts that fire", "none", ((query, "{{alertname}}"),)))
    return {
        "uid": "tidegate",
        "title": "tidegate",
        "tags": ["tidegate"],
        "timezone": "utc",
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _models()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _models() -> dict[str, Any]:
    query = "label_values(tidegate_requests_total, model)"
    return {
        "name": "model",
        "type": "query",
        "label": "Model",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "models"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"selected": True, "text": "All", "value": "$__all"},
    }


def _panel(
    number: int, title: str, unit: str, queries: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "expr": _filled(query),
            "legendFormat": legend,
            "range": True,
        }
        for place, (query, legend) in enumerate(queries)
    ]
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": SOURCE,
        "gridPos": {
            "x": WIDTH * (number % 2),
            "y": HEIGHT * (number // 2),
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"fillOpacity": 8}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
        "targets": targets,
    }


def _filled(query: str) -> str:
    return query.replace("$sel", SELECTED).replace("$over", "$__rate_interval")
