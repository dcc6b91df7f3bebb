"""Watching a model: baselines, windows of live rows, and reports of how far the two are apart.

The runtime and the server watch every deployed bundle by themselves; their reports are read with
`DriftReport`. `Baseline` and `Monitor` do the same for any tables.
"""

from tidegate.monitoring.monitor import Baseline, Monitor
from tidegate.monitoring.page import write_html
from tidegate.monitoring.report import (
    Cell,
    Compared,
    DriftColumn,
    DriftReport,
    DriftWindow,
    Figures,
)

__all__ = [
    "Baseline",
    "Cell",
    "Compared",
    "DriftColumn",
    "DriftReport",
    "DriftWindow",
    "Figures",
    "Monitor",
    "write_html",
]
