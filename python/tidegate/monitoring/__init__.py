"""Watching a model: baselines, windows of live rows, and reports of how far the two are apart.

The runtime and the server watch every deployed bundle by themselves; their reports are read with
`DriftReport`. `Baseline` and `Monitor` do the same for any tables. `tidegate.monitoring.sequential`
has the tests behind alarms, useful on their own.
"""

from tidegate.monitoring.alarm import Alarm, Alarms
from tidegate.monitoring.monitor import Baseline, Monitor
from tidegate.monitoring.page import write_html
from tidegate.monitoring.quality import QualityReport, Received
from tidegate.monitoring.report import (
    Cell,
    Compared,
    DriftColumn,
    DriftReport,
    DriftWindow,
    Figures,
)
from tidegate.monitoring.watching import Watching

__all__ = [
    "Alarm",
    "Alarms",
    "Baseline",
    "Cell",
    "Compared",
    "DriftColumn",
    "DriftReport",
    "DriftWindow",
    "Figures",
    "Monitor",
    "QualityReport",
    "Received",
    "Watching",
    "write_html",
]
