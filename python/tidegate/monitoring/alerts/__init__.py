"""Alerts: rules over signals, a state that replicas share, and channels that are told.

`Alerts` is the section of the settings, `Watch` what evaluates it beside a runtime.
"""

from tidegate.monitoring.alerts.rule import Policy, Rule, Step, rules_of
from tidegate.monitoring.alerts.settings import Alerts

__all__ = ["Alerts", "Policy", "Rule", "Step", "rules_of"]
