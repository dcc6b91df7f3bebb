"""The suite of features: the table, the fit and the row, in turns with what others make of them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from typing import Final

from tidegate.bench.context import Context
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.errors import BackendError

__all__ = ["measure"]

TURNS: Final = 9
"""Turns over the table of each contender; the first of each is not counted."""

FITS: Final = 5
"""Fits of each contender; the first of each is not counted."""


def measure(context: Context) -> None:
    """Features against scikit-learn, polars and NumPy by hand, and against the machine.

    Args:
        context: Where the figures go.
    """
    context.attempt("features", partial(_contest, context))
    context.attempt("all cores", partial(_cores, context))


def _contest(context: Context) -> None:
    rows, core = context.plan.table_rows, context.places.server
    with ExitStack() as stack:

        def start(kind: str) -> Worker:
            return stack.enter_context(Worker(kind, core, rows=rows))

        context.progress("features: loading the table")
        ours = start("features")
        sample = str(context.folder / "sample.npy")
        names = ours.call("sample", path=sample)
        learned = start("sklearn")
        wrong = learned.call("differences", path=sample, names=names)["wrong"]
        if wrong:
            raise BackendError(f"features differ from scikit-learn's in {wrong}")
        peers = {"sklearn": learned}
        for name in ("polars", "numpy"):
            peer = context.attempt(name, partial(start, name))
            if peer is None:
                continue
            if not peer.call("agrees", path=sample):
                context.results.not_measured[name] = "its features are others than ours"
                continue
            peers[name] = peer
        _tables(context, ours, peers)
        _fits(context, ours, learned)
        _machine(context, ours)
        _rows(context, ours, learned)
        onnx = context.attempt("ONNX", partial(start, "sklearn_onnx"))
        if onnx is not None:
            _exported(context, ours, onnx)


def _tables(context: Context, ours: Worker, peers: dict[str, Worker]) -> None:
    context.progress("features: the table")
    ratios: dict[str, list[float]] = defaultdict(list)
    mine, theirs = [], defaultdict(list)
    for turn in range(min(TURNS, context.plan.table_turns + 4)):
        for name, peer in peers.items():
            own, other = ours.call("table")["seconds"], peer.call("table")["seconds"]
            if turn:
                mine.append(own)
                theirs[name].append(other)
                ratios[name].append(other / own)
    figures = context.results.figures
    figures["features_table_ms"] = figure([seconds * 1e3 for seconds in mine])
    for name, found in ratios.items():
        figures[f"table_over_{name}"] = figure(found)
        seconds = figure(theirs[name])
        context.results.notes.append(f"the table: {name} took {seconds.median * 1e3:.0f} ms")


def _fits(context: Context, ours: Worker, learned: Worker) -> None:
    context.progress("features: the fit")
    ratios, mine = [], []
    for turn in range(FITS):
        own, other = ours.call("fit")["seconds"], learned.call("fit")["seconds"]
        if turn:
            ratios.append(other / own)
            mine.append(own * 1e3)
    context.results.figures["fit_over_sklearn"] = figure(ratios)
    context.results.figures["fit_ms"] = figure(mine)


def _machine(context: Context, ours: Worker) -> None:
    context.progress("features: against the memory's floor")
    shares = []
    for turn in range(TURNS):
        found = ours.call("scale")
        if turn:
            shares.append(found["floor_seconds"] / found["seconds"])
    context.results.figures["scale_share_of_bandwidth"] = figure(shares)
    context.results.figures["transform_extra_mb"] = figure([ours.call("peak_mb") for _ in range(3)])


def _rows(context: Context, ours: Worker, learned: Worker) -> None:
    context.progress("features: one row")
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(5):
        found["row_rust_us"].append(ours.call("rust_row", rows=4_000)["p50_us"])
        found["row_json_us"].append(ours.call("json_row", rows=4_000)["p50_us"])
        mine = ours.call("row", calls=2_000)["p50_us"]
        other = learned.call("row", calls=max(1, context.plan.row_calls // 5))["p50_us"]
        found["row_dict_us"].append(mine)
        found["row_over_sklearn"].append(other / mine)
    for name, values in found.items():
        context.results.figures[name] = figure(values)


def _exported(context: Context, ours: Worker, onnx: Worker) -> None:
    ratios = []
    for turn in range(6):
        mine, other = ours.call("row", calls=2_000), onnx.call("row", calls=500)
        if turn:
            ratios.append(other["p50_us"] / mine["p50_us"])
    context.results.figures["row_over_onnx"] = figure(ratios)


def _cores(context: Context) -> None:
    """All cores against one, and what two threads of a plain kernel get out of the machine."""
    context.progress("features: all cores")
    rows, core = context.plan.table_rows, context.places.server
    with (
        Worker("features", None, rows=rows) as every,
        Worker("features", core, rows=rows) as one,
    ):
        ratios, ceilings, fits = [], [], []
        for turn in range(TURNS):
            single, all_of_them = one.call("table")["seconds"], every.call("table")["seconds"]
            if turn:
                ratios.append(single / all_of_them)
        for turn in range(FITS):
            single, all_of_them = one.call("fit")["seconds"], every.call("fit")["seconds"]
            ceilings.append(every.call("ceiling"))
            if turn:
                fits.append(single / all_of_them)
    figures = context.results.figures
    figures["table_all_cores_over_one"] = figure(ratios)
    figures["fit_all_cores_over_one"] = figure(fits)
    figures["plain_kernel_two_threads_over_one"] = figure(ceilings)
    figures["all_cores_over_ceiling"] = figure(
        [ratio / figures["plain_kernel_two_threads_over_one"].median for ratio in ratios]
    )
