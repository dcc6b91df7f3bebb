"""Latency and throughput in ratios: features, embedded predictions, HTTP, against peers.

Absolute times vary with the machine, so everything is measured beside what it is compared with, in
one run and in turns. `suite` runs suites, `budgets` judges them, `report` shows them; `features`,
`embedded` and `http` hold one comparison each, `load` drives the load generator of the core.
"""

from tidegate.bench.budgets import Budget, Verdict, judge, read_budgets
from tidegate.bench.context import Plan
from tidegate.bench.load import Load, run_load
from tidegate.bench.measure import Figure, figure
from tidegate.bench.suite import run

__all__ = [
    "Budget",
    "Figure",
    "Load",
    "Plan",
    "Verdict",
    "figure",
    "judge",
    "read_budgets",
    "run",
    "run_load",
]
