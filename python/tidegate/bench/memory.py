"""The suite of memory: millions of requests to one server, whose memory must not grow with them."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import Final

from tidegate.bench import http
from tidegate.bench.context import Context
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.bench.subjects import Subject

__all__ = ["growth", "measure"]

SLICES: Final = 100
"""Looks at the memory in one run."""

CONNECTIONS: Final = 32

LONGEST: Final = 3_600.0
"""Seconds that a slice may take; it ends by its number of requests."""


def measure(context: Context) -> None:
    """Asks one server for so many predictions as the plan says.

    Args:
        context: Where the figures go.
    """
    flights = context.flights()
    if flights is not None:
        context.attempt("memory", lambda: _memory(context, flights))


def _memory(context: Context, flights: Subject) -> None:
    places, requests = context.places, context.plan.requests
    samples: list[float] = []
    done = wrong = 0
    with ExitStack() as stack:
        ours = http.tidegate(flights, core=places.server, folder=context.folder)
        stack.enter_context(ours.daemon)
        client = stack.enter_context(Worker("load", places.client))
        load = {
            "address": ours.address,
            "path": ours.path,
            "connections": CONNECTIONS,
            "seconds": LONGEST,
            "warmup_seconds": 0.0,
            "requests": max(1, requests // SLICES),
            "cpu": places.client,
            "numbers_after": list(ours.numbers_after),
        }
        for at in range(SLICES):
            report = client.call("run", load={**load, "seed": at}, cases=str(flights.cases))
            done += report["requests"]
            wrong += sum(report["errors"].values()) + report["refused"]
            samples.append(ours.daemon.memory_mb())
            if at % 10 == 9:
                context.progress(f"memory: {done:,} requests, {samples[-1]:.1f} MB")
    if wrong:
        context.results.not_measured["memory_growth_mb"] = f"{wrong} wrong answers"
        return
    context.results.figures["memory_growth_mb"] = figure([growth(samples)])
    context.results.curves["memory"] = {
        "requests": [(at + 1) * done / SLICES for at in range(SLICES)],
        "memory_mb": samples,
    }


def growth(samples: list[float]) -> float:
    """How much the memory has grown in the second half: medians of a tenth at its ends.

    The first half is left out: queues, caches and the allocator's arenas reach their size in it.

    Args:
        samples: The memory at equal distances, at least ten values.

    >>> growth([10.0, 20.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.5])
    0.5
    """
    tenth = max(1, len(samples) // 10)
    middle = len(samples) // 2
    return median(samples[-tenth:]) - median(samples[middle : middle + tenth])
