"""The test that a bundle has to pass before traffic reaches it."""

from tidegate.check.context import Request
from tidegate.check.report import CheckReport
from tidegate.check.result import Figure, Result
from tidegate.check.rollouts import before_rollout
from tidegate.check.run import CHECKS, run_checks

__all__ = [
    "CHECKS",
    "CheckReport",
    "Figure",
    "Request",
    "Result",
    "before_rollout",
    "run_checks",
]
