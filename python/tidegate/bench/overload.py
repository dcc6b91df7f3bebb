"""The suite of overload: what a server with an objective still does when more is asked than it can.

Goodput is the rate of right answers within the objective. Everything here is an open loop; a
request that is due while no connection is free is given up, as a client does that has its own
objective, and counts as not answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from tidegate.bench import budgets, http
from tidegate.bench.context import Context
from tidegate.bench.http import Cell, Target
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.bench.subjects import Subject, build_tables

__all__ = ["measure"]

OBJECTIVE: Final = 0.01
"""The objective under overload, in seconds."""

TIGHT: Final = 0.005
"""The objective that the hand-tuned batch sizes are held against, in seconds."""

LOADS: Final = (0.6, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
"""Offered loads, as multiples of the capacity; the last is the overload."""

SIZES: Final = (4, 8, 16, 32, 64, 256)
"""Fixed batch sizes; the last is what a server takes that is told nothing. There is no delay to tune:
the server has no timer, and in virtual time the best delay is none."""

CONNECTIONS: Final = 768
"""Twice what can be answered within the objective, so that a server must refuse; fewer than the usual
limit of open files."""

STEPS: Final = 6
"""Halvings in the search for a rate: the result is within a sixtieth of the interval."""

DUE: Final = 0.99
"""The share of requests that must be answered within the objective."""

Ask = Callable[[Target, int, float | None, float | None], Cell]
"""Target, connections, rate (none: closed loop), objective."""


def measure(context: Context) -> None:
    """Overloads a server with an objective, and tunes one without by hand.

    Args:
        context: Where the figures go.
    """
    trees, flights = context.trees(), context.flights()
    if trees is not None:
        context.attempt("overload", lambda: _overload_tables(context, trees))
    if flights is not None:
        context.attempt("overload of single rows", lambda: _overload_rows(context, flights))
    if trees is not None:
        context.attempt("objective", lambda: _objective(context, trees))


def _ask(context: Context, client: Worker) -> Ask:
    def ask(target: Target, connections: int, rate: float | None, within: float | None) -> Cell:
        return http.measure(
            client,
            target,
            core=context.places.client,
            connections=connections,
            seconds=context.plan.seconds,
            rate=rate,
            within=within,
        )

    return ask


def _overload_tables(context: Context, trees: Subject) -> None:
    context.progress("building requests of many rows")
    tables = build_tables(trees, context.folder)
    with ExitStack() as stack:
        servers, ask = _start(context, stack, trees)
        name = f"tidegate, trees, {tables.rows} rows a request"
        ours = replace(servers.ours, name=name, cases=tables.as_json)
        plain = replace(servers.plain, cases=tables.as_json)
        _goodput(context, ask, "100", replace(servers, ours=ours, plain=plain))


def _overload_rows(context: Context, flights: Subject) -> None:
    """The whole bundle: one core of clients cannot send three times what the bare trees bear."""
    with ExitStack() as stack:
        servers, ask = _start(context, stack, flights)
        ours = replace(servers.ours, name=f"tidegate, {flights.name}, one row a request")
        _goodput(context, ask, "1", replace(servers, ours=ours))


@dataclass(frozen=True, slots=True)
class Servers:
    """What is compared under overload.

    Attributes:
        ours: The server with its objective.
        plain: The same without one, which tells the capacity: the other refuses.
        floor: nginx, which tells what refusing costs.
    """

    ours: Target
    plain: Target
    floor: Target


def _start(context: Context, stack: ExitStack, subject: Subject) -> tuple[Servers, Ask]:
    core, folder = context.places.server, context.folder
    peers = (budgets.folder() or Path("benches")) / "peers"
    settings = {"runtime.objective": f"{OBJECTIVE * 1e3:g}ms"}
    ours = http.tidegate(subject, core=core, folder=folder, settings=settings)
    stack.enter_context(ours.daemon)
    plain = http.tidegate(subject, core=core, folder=folder)
    stack.enter_context(plain.daemon)
    floor = http.nginx(subject, core=core, folder=folder, peers=peers)
    stack.enter_context(floor.daemon)
    client = stack.enter_context(Worker("load", context.places.client))
    return Servers(ours, plain, floor), _ask(context, client)


def _goodput(context: Context, ask: Ask, name: str, servers: Servers) -> None:
    """Goodput over offered load, from below the capacity to three times of it."""
    ratios, shares, latencies = [], [], []
    curve: dict[float, list[Cell]] = defaultdict(list)
    capacities = []
    target = servers.ours
    # What a batch costs is learned in the first requests.
    for _ in range(2):
        ask(target, 8, None, None)
    for turn in range(context.plan.repetitions):
        context.progress(f"{target.name}: overload, turn {turn + 1} of {context.plan.repetitions}")
        capacity = max(ask(servers.plain, 32, None, None).rate for _ in range(2))
        refusal_us = ask(servers.floor, 32, None, None).cpu_us
        capacities.append(capacity)
        cells = {}
        for load in LOADS:
            cells[load] = ask(target, CONNECTIONS, load * capacity, OBJECTIVE)
            curve[load].append(cells[load])
        over = cells.pop(LOADS[-1])
        peak = max(cell.good for cell in cells.values())
        if not peak:
            why = f"no load holds {OBJECTIVE * 1e3:g} ms: the machine is too busy"
            context.results.not_measured[f"overload_{name}"] = why
            return
        ratios.append(over.good / peak)
        # Of each second, refusing takes as much as nginx needs for its cheapest answer.
        shares.append(over.good / (peak * max(0.01, 1 - over.refused * refusal_us / 1e6)))
        latencies.append(over.p99_us / 1e6 / OBJECTIVE)
    wrong = sum(cell.errors for group in curve.values() for cell in group)
    if wrong:
        first = next(c.first_error for group in curve.values() for c in group if c.errors)
        context.results.not_measured[f"overload_{name}"] = f"{wrong} wrong answers: {first}"
        return
    figures = context.results.figures
    figures[f"overload_{name}_goodput"] = figure(ratios)
    figures[f"overload_{name}_goodput_less_refusing"] = figure(shares)
    figures[f"overload_{name}_p99_over_objective"] = figure(latencies)
    context.results.curves[target.name] = {
        "capacity": median(capacities),
        "objective_seconds": OBJECTIVE,
        "offered": [load * median(capacities) for load in curve],
        "goodput": [median(cell.good for cell in group) for group in curve.values()],
        "refused": [median(cell.refused for cell in group) for group in curve.values()],
        "dropped": [median(cell.dropped for cell in group) for group in curve.values()],
        "p99_us": [median(cell.p99_us for cell in group) for group in curve.values()],
    }


def _objective(context: Context, trees: Subject) -> None:
    """The rate that holds a tight objective, against the best fixed batch size."""
    places, folder = context.places, context.folder
    with ExitStack() as stack:

        def start(settings: dict[str, str]) -> Target:
            target = http.tidegate(trees, core=places.server, folder=folder, settings=settings)
            stack.enter_context(target.daemon)
            return target

        ours = start({"runtime.objective": f"{TIGHT * 1e3:g}ms"})
        fixed = {size: start({"runtime.max_batch_rows": str(size)}) for size in SIZES}
        ask = _ask(context, stack.enter_context(Worker("load", places.client)))
        tuned: dict[int, float] = {}
        for size, target in fixed.items():
            context.progress(f"tuning by hand: batches of at most {size} rows")
            tuned[size] = _sustained(ask, target)
        best = max(tuned, key=lambda size: tuned[size])
        if not tuned[best]:
            context.results.not_measured["objective_over_tuned"] = (
                f"no fixed batch size holds {TIGHT * 1e3:g} ms at any rate: the machine is too busy"
            )
            return
        ratios = []
        for turn in range(context.plan.repetitions):
            context.progress(f"objective, turn {turn + 1} of {context.plan.repetitions}")
            # Each goes first in turn, or a machine that warms up would favour one of them.
            pair = (ours, fixed[best]) if turn % 2 else (fixed[best], ours)
            rates = {target.name: _sustained(ask, target) for target in pair}
            if rates[fixed[best].name]:
                ratios.append(rates[ours.name] / rates[fixed[best].name])
    if not ratios:
        context.results.not_measured["objective_over_tuned"] = (
            "the batch size tuned by hand holds nothing any more: the machine is too busy"
        )
        return
    context.results.figures["objective_over_tuned"] = figure(ratios)
    context.results.curves["hand-tuned batch sizes"] = {
        "sizes": list(tuned),
        "rates": list(tuned.values()),
        "best": best,
    }


def _sustained(ask: Ask, target: Target) -> float:
    """The highest rate found that holds the tight objective; 0 if none of those tried does."""
    top = 1.1 * max(ask(target, connections, None, None).rate for connections in (32, 128))
    low, high = 0.0, top
    for _ in range(STEPS):
        middle = (low + high) / 2
        cell = ask(target, CONNECTIONS, middle, TIGHT)
        asked = cell.rate + cell.refused + cell.dropped
        if cell.good >= DUE * asked:
            low = middle
        else:
            high = middle
    return low
