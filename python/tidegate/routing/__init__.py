"""Rollouts: a deployment's plan as a log of revisions, and how traffic moves along it."""

from tidegate.routing.plan import (
    Arm,
    Experiment,
    Key,
    Metric,
    Observe,
    Routing,
    Rule,
    Shadow,
)
from tidegate.routing.revision import Revision, RolloutState
from tidegate.routing.strategy import AB, BlueGreen, Canary, ShadowFirst, Step, Strategy

__all__ = [
    "AB",
    "Arm",
    "BlueGreen",
    "Canary",
    "Experiment",
    "Key",
    "Metric",
    "Observe",
    "Revision",
    "RolloutState",
    "Routing",
    "Rule",
    "Shadow",
    "ShadowFirst",
    "Step",
    "Strategy",
]
