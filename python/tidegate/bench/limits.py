"""The suite of limits: how near the server comes to what the machine can do at all.

What no server can beat is the sum of its parts: nginx handing out a fixed answer, and bare ONNX
Runtime running the same rows. Both are measured in the same turns.
"""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from tidegate.bench import budgets, http
from tidegate.bench.context import Context
from tidegate.bench.embedded import CALLS
from tidegate.bench.http import Cell, Target
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.bench.results import summary
from tidegate.bench.subjects import Subject, Tables, build_tables

__all__ = ["measure", "stages"]

SHARE: Final = 0.8
"""The share of its own peak at which a server's latency is looked at."""

TABLE_CONNECTIONS: Final = 8
"""Connections that send requests of many rows: enough to keep a core busy, few enough not to queue."""

STAGE = re.compile(
    r'^tidegate_stage_seconds_(?P<what>sum|count)\{.*stage="(?P<stage>\w+)"\} (?P<value>\S+)$', re.M
)


def measure(context: Context) -> None:
    """Measures the server beside nginx and bare ONNX Runtime.

    Args:
        context: Where the figures go.
    """
    trees, flights = context.trees(), context.flights()
    if trees is not None:
        context.attempt("limits", lambda: _limits(context, trees))
    if flights is not None:
        context.attempt("stages", lambda: _stages(context, flights))


def _limits(context: Context, trees: Subject) -> None:
    places, plan, folder = context.places, context.plan, context.folder
    peers = (budgets.folder() or Path("benches")) / "peers"
    context.progress("building requests of many rows")
    tables = build_tables(trees, folder)
    with ExitStack() as stack:
        ours = http.tidegate(trees, core=places.server, folder=folder)
        stack.enter_context(ours.daemon)
        floor = http.nginx(trees, core=places.server, folder=folder, peers=peers)
        stack.enter_context(floor.daemon)
        client = stack.enter_context(Worker("load", places.client))
        bare = stack.enter_context(
            Worker("bare", places.server, onnx=str(trees.onnx), matrix=str(tables.matrix))
        )

        def cell(target: Target, connections: int, rate: float | None = None) -> Cell:
            return http.measure(
                client,
                target,
                core=places.client,
                connections=connections,
                seconds=plan.seconds,
                rate=rate,
            )

        targets = _table_targets(ours, tables)
        for target in (ours, floor, *targets.values()):
            cell(target, 8)
        turns: dict[str, list[float]] = defaultdict(list)
        cells: dict[tuple[str, int], list[Cell]] = defaultdict(list)
        # The first teaches caches and branch predictors.
        for turn in range(plan.repetitions + 1):
            context.progress(f"limits, turn {turn} of {plan.repetitions}")
            found, one = _turn(cell, bare, ours, floor, targets, tables)
            if not turn:
                continue
            for name, value in found.items():
                turns[name].append(value)
            for key, taken in one.items():
                cells[key].append(taken)
    for (name, connections), group in cells.items():
        context.results.http.setdefault(name, {})[connections] = summary(group)
        wrong = sum(cell.errors for cell in group)
        if wrong:
            context.results.not_measured["limits"] = f"{wrong} wrong answers of {name}"
            return
    for name, values in turns.items():
        context.results.figures[name] = figure(values)


def _turn(
    cell: Callable[..., Cell],
    bare: Worker,
    ours: Target,
    floor: Target,
    tables_of: dict[str, Target],
    tables: Tables,
) -> tuple[dict[str, float], dict[tuple[str, int], Cell]]:
    """Each figure once, and the cells of the table."""
    found: dict[str, float] = {}
    cells: dict[tuple[str, int], Cell] = {}

    def at(target: Target, connections: int) -> Cell:
        cells[target.name, connections] = taken = cell(target, connections)
        return taken

    # Half of the bare calls come before the servers' turn and half after it.
    def rows(count: int) -> dict[str, float]:
        taken: dict[str, float] = bare.call("batches", rows=count, calls=max(1, 20_000 // count))
        return taken

    before = rows(32)
    fixed, busy = at(floor, 32), at(ours, 32)
    row_us = (before["row_cpu_us"] + rows(32)["row_cpu_us"]) / 2
    limit_us = fixed.cpu_us + row_us
    found["share_of_limit"] = busy.rate * limit_us / 1e6
    found["share_of_limit_by_cpu"] = limit_us / busy.cpu_us
    one, lone, calm = bare.call("turn", calls=CALLS), at(floor, 1), at(ours, 1)
    found["p50_over_floor"] = calm.p50_us / (lone.p50_us + one["p50_us"])
    for name, target in tables_of.items():
        before = rows(tables.rows)
        taken = at(target, TABLE_CONNECTIONS)
        after = rows(tables.rows)
        row_us = (before["row_us"] + after["row_us"]) / 2
        row_cpu_us = (before["row_cpu_us"] + after["row_cpu_us"]) / 2
        found[f"table_{name}_over_bare"] = taken.rate * tables.rows * row_us / 1e6
        found[f"table_{name}_over_bare_by_cpu"] = tables.rows * row_cpu_us / taken.cpu_us
    # Latencies under the load that each bears: at its own peak, and nginx at nginx's.
    peak, top = max(busy.rate, at(ours, 128).rate), max(fixed.rate, at(floor, 128).rate)
    open_ours = cell(ours, 128, SHARE * peak)
    open_floor = cell(floor, 128, SHARE * top)
    found["p99_open_us"] = open_ours.p99_us
    found["p99_open_us_nginx"] = open_floor.p99_us
    found["p99_open_over_nginx"] = open_ours.p99_us / open_floor.p99_us
    return found, cells


def _table_targets(ours: Target, tables: Tables) -> dict[str, Target]:
    """The same server, asked for many rows at once."""
    length = ("Inference-Header-Content-Length", str(tables.head))
    return {
        "json": replace(ours, name=f"tidegate, {tables.rows} rows JSON", cases=tables.as_json),
        "binary": replace(
            ours,
            name=f"tidegate, {tables.rows} rows binary",
            cases=tables.as_binary,
            headers=[length, ("Content-Type", "application/octet-stream")],
            form="fp32",
        ),
    }


def _stages(context: Context, flights: Subject) -> None:
    """The mean time in each stage of a request, as the server itself measures it."""
    context.progress("time by stage")
    places, plan = context.places, context.plan
    found: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        ours = http.tidegate(flights, core=places.server, folder=context.folder)
        stack.enter_context(ours.daemon)
        client = stack.enter_context(Worker("load", places.client))
        for turn in range(plan.repetitions + 1):
            before = stages(ours)
            http.measure(client, ours, core=places.client, connections=32, seconds=plan.seconds)
            after = stages(ours)
            for stage, (total, count) in after.items():
                spent, times = total - before[stage][0], count - before[stage][1]
                if turn and times:
                    found[stage].append(spent / times * 1e6)
    for stage, values in found.items():
        context.results.figures[f"stage_{stage}_us"] = figure(values)


def stages(target: Target) -> dict[str, tuple[float, float]]:
    """Seconds and times of each stage so far, from the server's `/metrics`.

    Args:
        target: A tidegate with one model.
    """
    with urllib.request.urlopen(f"http://{target.address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for match in STAGE.finditer(text):
        found[match["stage"]][match["what"]] = float(match["value"])
    return {stage: (values["sum"], values["count"]) for stage, values in found.items()}
