"""Is the bundle fast and small enough on this machine?"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from tidegate.check.context import LEVEL, Context
from tidegate.check.probe import probe
from tidegate.check.result import Figure, Result, failed, passed, skipped, warned
from tidegate.check.statistics import Estimate
from tidegate.errors import BackendError

__all__ = ["LATENCY", "MEMORY", "latency", "memory", "quantile"]

LATENCY: Final = "latency"
MEMORY: Final = "memory"

MUCH: Final = 2.0
"""Without a budget: so many times the champion's is worth a warning."""


def quantile(values: tuple[float, ...], level: float, confidence: float) -> Estimate:
    """A quantile with the interval between the two values whose ranks bound it.

    >>> quantile(tuple(range(1, 1001)), 0.99, 0.95)
    Estimate(value=990.0, low=983.0, high=997.0)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    rows = len(ordered)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(rows * level * (1 - level))
    ranks = (
        math.ceil(rows * level),
        math.floor(rows * level - reach),
        math.ceil(rows * level + reach),
    )
    # Rank 1 is the least value.
    middle, low, high = (float(ordered[min(max(rank, 1), rows) - 1]) for rank in ranks)
    return Estimate(middle, low, high)


def latency(context: Context) -> Result:
    """Times single predictions, one after the other, in a process of its own."""
    found = context.probed
    if isinstance(found, BackendError):
        return failed(LATENCY, str(found))
    load = Figure("load", found.load_seconds, unit="s")
    if not found.latencies:
        return skipped(
            LATENCY, "the bundle has no golden rows to ask: build it with a sample", (load,)
        )
    budget = context.requirements.latency_seconds
    middle = quantile(found.latencies, 0.5, LEVEL)
    slow = quantile(found.latencies, 0.99, LEVEL)
    figures = (
        Figure("latency p99", *slow, LEVEL, budget, "s"),
        Figure("latency p50", *middle, LEVEL, unit="s"),
        load,
    )
    said = f"99 of 100 single predictions take at most {figures[0].text}"
    if budget is None:
        return _beside(context, slow, said, figures)
    if slow.low > budget:
        return failed(LATENCY, f"{said}, over the budget of {budget * 1e3:g} ms", figures)
    if slow.high > budget:
        return warned(
            LATENCY, f"{said}, too near to the budget of {budget * 1e3:g} ms to tell", figures
        )
    return passed(LATENCY, f"{said}, within the budget of {budget * 1e3:g} ms", figures)


def memory(context: Context) -> Result:
    """Measures what the loaded and used model adds to a process."""
    found = context.probed
    if isinstance(found, BackendError):
        return failed(MEMORY, str(found))
    budget = context.requirements.memory_bytes
    figures = (Figure("memory", found.memory, limit=budget, unit="B"),)
    said = f"loading and using it adds {figures[0].text}"
    if budget is None:
        return passed(MEMORY, f"{said}; there is no budget", figures)
    if found.memory > budget:
        return failed(MEMORY, f"{said}, over the budget of {budget / 1e6:g} MB", figures)
    return passed(MEMORY, f"{said}, within the budget of {budget / 1e6:g} MB", figures)


def _beside(context: Context, slow: Estimate, said: str, figures: tuple[Figure, ...]) -> Result:
    """Without a budget the champion is the measure, and only a warning follows."""
    if context.champion is None:
        return passed(LATENCY, f"{said}; there is no budget", figures)
    try:
        other = probe(context.champion)
    except BackendError:
        return passed(LATENCY, f"{said}; there is no budget", figures)
    if not other.latencies:
        return passed(LATENCY, f"{said}; there is no budget", figures)
    reigning = quantile(other.latencies, 0.99, LEVEL)
    champion = Figure("latency p99 of champion", *reigning, LEVEL, unit="s")
    figures = (*figures, champion)
    if slow.low > MUCH * reigning.high:
        return warned(
            LATENCY, f"{said}, the champion's at most {champion.text}; there is no budget", figures
        )
    return passed(
        LATENCY, f"{said}, the champion's at most {champion.text}; there is no budget", figures
    )
