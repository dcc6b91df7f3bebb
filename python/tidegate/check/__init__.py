"""The test that a bundle has to pass before traffic reaches it."""

from tidegate.check.context import Request
from tidegate.check.report import CheckReport
from tidegate.check.result import Figure, Result
from tidegate.check.run import CHECKS, run_checks

__all__ = ["CHECKS", "CheckReport", "Figure", "Request", "Result", "run_checks"]
