"""The kinds of rules, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.configuration.table import Table
from tidegate.monitoring.alerts.conditions.anomaly import Anomaly
from tidegate.monitoring.alerts.conditions.base import Condition, Finding, Selector, duration
from tidegate.monitoring.alerts.conditions.burn_rate import BurnRate
from tidegate.monitoring.alerts.conditions.drift import Drift
from tidegate.monitoring.alerts.conditions.no_traffic import NoTraffic
from tidegate.monitoring.alerts.conditions.quality import Quality
from tidegate.monitoring.alerts.conditions.threshold import Threshold

__all__ = ["KINDS", "Condition", "Finding", "Selector", "duration"]

KINDS: Final[Mapping[str, Callable[[Table, Selector], Condition]]] = {
    "threshold": Threshold.take,
    "anomaly": Anomaly.take,
    "drift": Drift.take,
    "quality": Quality.take,
    "burn_rate": BurnRate.take,
    "no_traffic": NoTraffic.take,
}
"""What reads a rule of each kind."""
