"""The whole of the benchmarks in one run: prepare, measure in turns, sum up."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from tidegate.bench import budgets, http
from tidegate.bench.embedded import CALLS
from tidegate.bench.http import Cell, Target
from tidegate.bench.machine import Cores, cores, describe
from tidegate.bench.measure import Figure, figure
from tidegate.bench.process import Worker
from tidegate.bench.subjects import Subject, build_flights, build_trees
from tidegate.errors import TidegateError

__all__ = ["FULL", "QUICK", "Plan", "Results", "run"]

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often.

    Attributes:
        seconds: Length of one run of load.
        repetitions: Runs of each server at each number of connections.
        pairs: Pairs of runs with and without watching, and of turns of the embedded contenders.
        connections: Numbers of connections.
        table_rows: Most rows of the table of features; `None` takes all.
        table_turns: Turns over that table.
        row_calls: One-row calls of scikit-learn, each some ten milliseconds.
    """

    seconds: float = 1.0
    repetitions: int = 3
    pairs: int = 31
    connections: Sequence[int] = (1, 8, 32, 128)
    table_rows: int | None = None
    table_turns: int = 5
    row_calls: int = 60


FULL: Final = Plan()
QUICK: Final = Plan(
    seconds=0.5,
    repetitions=1,
    pairs=5,
    connections=(1, 32),
    table_rows=100_000,
    table_turns=3,
    row_calls=15,
)


@dataclass(slots=True)
class Results:
    """What a run has found.

    Attributes:
        machine: Where it ran.
        figures: Figures by name, those of the budgets among them.
        http: Medians of the cells by target and number of connections.
        features: Figures of one row and of the table.
        embedded: Figures of the embedded call and the bare one.
        memory_mb: Peak memory of the servers.
        not_measured: What could not be measured, with the reason.
        notes: What a reader of the figures must know.
        seconds: How long the run took.
    """

    machine: dict[str, object] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    http: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    embedded: dict[str, Any] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


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


def run(plan: Plan = FULL, *, progress: Progress = lambda _: None) -> Results:
    """Runs the benchmarks.

    Args:
        plan: How long and how often.
        progress: Is told what is being done.

    Returns:
        The results. What could not be measured is named in them, not raised.

    Raises:
        UnsupportedError: The machine has one core only.
    """
    begin = time.monotonic()
    results = Results(machine=describe())
    places = cores()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        _attempt(results, "features", lambda: _features(results, plan, places, folder, progress))
        flights = _attempt(results, "flights", lambda: _prepare(build_flights, folder, progress))
        trees = _attempt(results, "trees", lambda: _prepare(build_trees, folder, progress))
        if flights is not None:
            _attempt(
                results, "embedded", lambda: _embedded(results, plan, places, flights, progress)
            )
        _http(results, plan, places, folder, trees, flights, progress)
    results.seconds = time.monotonic() - begin
    return results


def _attempt(results: Results, what: str, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except (TidegateError, ImportError) as error:
        results.not_measured[what] = str(error)
        return None


def _prepare(build: Callable[[Path], Subject], folder: Path, progress: Progress) -> Subject:
    progress(f"building the model: {build.__name__.removeprefix('build_')}")
    return build(folder)


def _features(
    results: Results, plan: Plan, places: Cores, folder: Path, progress: Progress
) -> None:
    progress("features against scikit-learn: one row and the table")
    turns: dict[str, list[float]] = defaultdict(list)
    with (
        Worker("features", places.server, rows=plan.table_rows) as ours,
        Worker("sklearn", places.server, rows=plan.table_rows) as theirs,
    ):
        sample = str(folder / "features.npy")
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


def _embedded(
    results: Results, plan: Plan, places: Cores, flights: Subject, progress: Progress
) -> None:
    progress("embedded predict against the bare session.run")
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


def _http(
    results: Results,
    plan: Plan,
    places: Cores,
    folder: Path,
    trees: Subject | None,
    flights: Subject | None,
    progress: Progress,
) -> None:
    peers = (budgets.folder() or Path("benches")) / "peers"
    core = places.server
    with ExitStack() as stack:

        def start(what: str, make: Callable[[], Target]) -> Target | None:
            target = _attempt(results, what, make)
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
            _against_wrk(results, client, floor, places, plan)
        for target in targets:
            if target is not echo:
                results.memory_mb[target.name] = target.daemon.usage().peak_rss_mb
    for name, connections in cells:
        by_connections = results.http.setdefault(name, {})
        by_connections[connections] = _summary(cells[name, connections])
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


def _against_wrk(
    results: Results, client: Worker, floor: Target, places: Cores, plan: Plan
) -> None:
    """Our generator beside wrk: the same requests to a server that is faster than most."""
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


def _summary(cells: Sequence[Cell]) -> dict[str, Any]:
    batches = [cell.batch for cell in cells if cell.batch is not None]
    return {
        "rate": median(cell.rate for cell in cells),
        "p50_us": median(cell.p50_us for cell in cells),
        "p99_us": median(cell.p99_us for cell in cells),
        "cpu_us": median(cell.cpu_us for cell in cells),
        "batch": median(batches) if batches else None,
        "errors": sum(cell.errors for cell in cells),
        "first_error": next((cell.first_error for cell in cells if cell.first_error), None),
        "runs": len(cells),
    }


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
