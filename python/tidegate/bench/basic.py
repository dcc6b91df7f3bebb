"""The basic suite: features, embedded predictions and HTTP, each beside what it is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from tidegate.bench import budgets, http
from tidegate.bench.context import Context
from tidegate.bench.embedded import CALLS
from tidegate.bench.http import Cell, Target
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.bench.results import Results, summary
from tidegate.bench.subjects import Subject

__all__ = ["measure"]

NGINX_US: Final = 7.2
STARLETTE_US: Final = 115.0
"""CPU time a request at 32 connections on the reference machine (2 cores, AVX-512 class)."""

MODEL_US: Final = 13.8
"""The bare call of the tree model there, one fresh row a call."""

SUSPECT: Final = 1.5
"""A peer that needs more than this many times its reference time, after correction for the speed of
the machine, is not quoted: something is wrong with how it is run."""

NOISE: Final = 0.15
"""Above this share of a core in foreign hands the report says so."""


def measure(context: Context) -> None:
    """Features against scikit-learn, embedded calls against bare ones, servers against peers.

    Args:
        context: Where the figures go.
    """
    context.attempt("features", lambda: _features(context))
    flights, trees = context.flights(), context.trees()
    if flights is not None:
        context.attempt("embedded", lambda: _embedded(context, flights))
    _http(context, trees, flights)


def _features(context: Context) -> None:
    results, plan, places = context.results, context.plan, context.places
    context.progress("features against scikit-learn: one row and the table")
    turns: dict[str, list[float]] = defaultdict(list)
    with (
        Worker("features", places.server, rows=plan.table_rows) as ours,
        Worker("sklearn", places.server, rows=plan.table_rows) as theirs,
    ):
        sample = str(context.folder / "features.npy")
        agreement = theirs.call("differences", path=sample, names=ours.call("sample", path=sample))
        if agreement["wrong"]:
            results.notes.append(f"features differ from scikit-learn's in {agreement['wrong']}")
        for turn in range(plan.table_turns + 1):
            mine, other = ours.call("table"), theirs.call("table")
            if turn:  # The first of each pays for memory that the later ones find mapped.
                turns["table_ours"].append(mine["seconds"])
                turns["table_sklearn"].append(other["seconds"])
                turns["table_ratio"].append(other["cpu_seconds"] / mine["cpu_seconds"])
        for _ in range(5):
            turns["rust_us"].append(ours.call("rust_row", rows=4_000)["p50_us"])
            mine = ours.call("row", calls=2_000)
            other = theirs.call("row", calls=max(1, plan.row_calls // 5))
            turns["row_ours_us"].append(mine["p50_us"])
            turns["row_sklearn_us"].append(other["p50_us"])
            turns["row_ratio"].append(other["p50_us"] / mine["p50_us"])
    results.features = {
        "table_seconds": median(turns["table_ours"]),
        "table_seconds_sklearn": median(turns["table_sklearn"]),
        "row_us": median(turns["row_ours_us"]),
        "row_us_sklearn": median(turns["row_sklearn_us"]),
        "columns_compared": agreement["compared"],
        "columns": agreement["of"],
    }
    if not agreement["wrong"]:
        results.figures["features_table_over_sklearn"] = figure(turns["table_ratio"])
        results.figures["features_row_over_sklearn"] = figure(turns["row_ratio"])
    results.figures["features_row_rust_us"] = figure(turns["rust_us"])


def _embedded(context: Context, flights: Subject) -> None:
    results, plan, places = context.results, context.plan, context.places
    context.progress("embedded predict against the bare session.run")
    common = {
        "registry": str(flights.registry),
        "reference": flights.reference,
        "rows": str(flights.rows),
    }
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    with (
        Worker("embedded", places.server, **common) as ours,
        Worker("bare", places.server, onnx=str(flights.onnx), matrix=str(flights.matrix)) as bare,
    ):
        mine, other = ours.call("outputs", rows=200), bare.call("outputs", rows=200)
        distance = max(
            abs(a - b) for x, y in zip(mine, other, strict=True) for a, b in zip(x, y, strict=True)
        )
        for turn in range(plan.pairs + 1):
            pair = ours.call("turn", calls=CALLS), bare.call("turn", calls=CALLS)
            if turn:  # The first teaches caches and branch predictors.
                pairs.append(pair)
    if distance > 1e-4:
        results.not_measured["embedded"] = f"its answers differ from the bare call's by {distance}"
        return
    results.figures["embedded_over_bare"] = figure([a["p50_us"] / b["p50_us"] for a, b in pairs])
    results.figures["embedded_over_bare_cpu"] = figure(
        [a["cpu_us"] / b["cpu_us"] for a, b in pairs]
    )
    results.embedded = {
        name: {key: median(pair[side][key] for pair in pairs) for key in pairs[0][side]}
        for side, name in enumerate(("predict", "session_run"))
    }


def _http(context: Context, trees: Subject | None, flights: Subject | None) -> None:
    results, plan, places, folder = (
        context.results,
        context.plan,
        context.places,
        context.folder,
    )
    progress = context.progress
    peers = (budgets.folder() or Path("benches")) / "peers"
    core = places.server
    with ExitStack() as stack:

        def start(what: str, make: Callable[[], Target]) -> Target | None:
            target = context.attempt(what, make)
            if target is not None:
                stack.enter_context(target.daemon)
            return target

        progress("starting the servers")
        bare = peer = floor = watched = unwatched = None
        if trees is not None:
            bare = start("tidegate", lambda: http.tidegate(trees, core=core, folder=folder))
            peer = start(
                "starlette", lambda: http.starlette(trees, core=core, folder=folder, peers=peers)
            )
            floor = start("nginx", lambda: http.nginx(trees, core=core, folder=folder, peers=peers))
        if flights is not None:
            watched = start("watched", lambda: http.tidegate(flights, core=core, folder=folder))
            unwatched = start(
                "not watched",
                lambda: http.tidegate(flights, core=core, folder=folder, watch=False),
            )
        client = stack.enter_context(Worker("load", places.client))
        echo = http.echo_of(bare) if bare else None
        targets = [t for t in (bare, peer, echo, floor, watched, unwatched) if t is not None]

        def cell(target: Target, connections: int, seconds: float) -> Cell:
            return http.measure(
                client, target, core=places.client, connections=connections, seconds=seconds
            )

        for target in targets:
            cell(target, 8, plan.seconds / 2)
        model_us = []
        if trees is not None:
            with Worker("bare", core, onnx=str(trees.onnx), matrix=str(trees.matrix)) as model:
                model_us = [model.call("turn", calls=CALLS)["cpu_us"] for _ in range(5)]
        cells: dict[tuple[str, int], list[Cell]] = defaultdict(list)
        for repetition in range(plan.repetitions):
            progress(f"HTTP, repetition {repetition + 1} of {plan.repetitions}")
            for connections in plan.connections:
                for target in targets:
                    cells[target.name, connections].append(cell(target, connections, plan.seconds))
        pairs: list[tuple[Cell, Cell]] = []
        if watched and unwatched:
            progress("HTTP, watching on and off in turns")
            for turn in range(plan.pairs):
                # Each goes first in turn, or a machine that warms up would favour one of them.
                order = (watched, unwatched) if turn % 2 else (unwatched, watched)
                found = {target.name: cell(target, 32, plan.seconds) for target in order}
                pairs.append((found[watched.name], found[unwatched.name]))
        if floor is not None:
            _against_wrk(context, client, floor)
        for target in targets:
            if target is not echo:
                results.memory_mb[target.name] = target.daemon.usage().peak_rss_mb
    for name, connections in cells:
        by_connections = results.http.setdefault(name, {})
        by_connections[connections] = summary(cells[name, connections])
    _conclude(results, cells, model_us, bare, peer, echo, floor, watched)
    wrong = sum(cell.errors for pair in pairs for cell in pair)
    if pairs and not wrong:
        results.figures["watching_cost"] = figure([1 - off.cpu_us / on.cpu_us for on, off in pairs])
        results.figures["watching_cost_by_rate"] = figure(
            [1 - on.rate / off.rate for on, off in pairs]
        )
    foreign = [cell.foreign for group in cells.values() for cell in group]
    if foreign and median(foreign) > NOISE:
        results.notes.append(
            f"something else took {median(foreign):.1f} cores during the HTTP runs: "
            "figures of a busy machine differ by up to four times, run again on a quiet one"
        )


def _against_wrk(context: Context, client: Worker, floor: Target) -> None:
    """Our generator beside wrk: the same requests to a server that is faster than most."""
    results, plan, places = context.results, context.plan, context.places
    load = {
        "address": floor.address,
        "path": floor.path,
        "connections": 32,
        "seconds": max(1.0, plan.seconds),
        "warmup_seconds": 0.0,
        "cpu": places.client,
    }
    ratios = []
    for _ in range(plan.repetitions):
        rate = http.wrk_rate(floor, core=places.client, connections=32, seconds=plan.seconds)
        if rate is None:
            results.not_measured["generator_over_wrk"] = "wrk is not installed: apt-get install wrk"
            return
        ratios.append(client.call("get", load=load)["rate"] / rate)
    results.figures["generator_over_wrk"] = figure(ratios)


def _conclude(
    results: Results,
    cells: dict[tuple[str, int], list[Cell]],
    model_us: Sequence[float],
    bare: Target | None,
    peer: Target | None,
    echo: Target | None,
    floor: Target | None,
    watched: Target | None,
) -> None:
    """The ratios at 32 connections, from runs of the same repetition."""

    def of(target: Target | None) -> list[Cell]:
        found = cells.get((target.name, 32), []) if target else []
        wrong = sum(cell.errors for cell in found)
        if wrong and target:
            results.not_measured[target.name] = f"{wrong} wrong answers: {found[0].first_error}"
            return []
        return found

    mine, theirs, floors = of(bare), of(peer), of(floor)
    if theirs and (why := _suspicion(theirs, floors, model_us)):
        results.not_measured["http32_over_starlette"] = why
        theirs = []
    ratios = {
        "http32_over_starlette": theirs,
        "http32_over_echo": of(echo),
        "http32_over_nginx": floors,
    }
    for name, others in ratios.items():
        if mine and others:
            pairs = list(zip(mine, others, strict=True))
            results.figures[name] = figure([a.rate / b.rate for a, b in pairs])
            results.figures[f"{name}_by_cpu"] = figure([b.cpu_us / a.cpu_us for a, b in pairs])
    for name, found in (("mean_batch_at_32", mine), ("mean_batch_at_32_flights", of(watched))):
        batches = [cell.batch for cell in found if cell.batch is not None]
        if batches:
            results.figures[name] = figure(batches)


def _suspicion(peer: Sequence[Cell], floor: Sequence[Cell], model_us: Sequence[float]) -> str:
    """Why the peer is not to be quoted; empty if it is as fast as the machine lets it be.

    A machine has no one speed: nginx works in the kernel, the peer in an interpreter and the model,
    whose code and data need the caches that a shared machine shares. The slower of nginx and the
    bare model call says what the peer may take.
    """
    found = {
        "nginx": median(cell.cpu_us for cell in floor) / NGINX_US if floor else 1.0,
        "the bare model call": median(model_us) / MODEL_US if model_us else 1.0,
    }
    slower = median(cell.cpu_us for cell in peer) / STARLETTE_US
    if slower <= SUSPECT * max(found.values()):
        return ""
    yardsticks = ", ".join(f"{name} {times:.1f} times" for name, times in found.items())
    return (
        f"the peer takes {slower:.1f} times its time on the reference machine, but {yardsticks}: "
        "find out why before you quote it"
    )
