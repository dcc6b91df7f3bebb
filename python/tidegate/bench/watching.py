"""The suite of watching: detectors, sketches and distances, in turns with their peers.

Each peer stands in an environment from its own lock and is fed the form that it likes best. All run on one
core, one turn each, again and again.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from tidegate.bench import budgets, months
from tidegate.bench.measure import figure
from tidegate.bench.peers import ENVIRONMENTS, install
from tidegate.bench.process import Worker
from tidegate.bench.validation import Peer
from tidegate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tidegate.bench.context import Context

__all__ = ["PEERS", "Ours", "measure"]

DETECTORS: Final = ("adwin", "page_hinkley", "ddm", "hddm_a", "hddm_w", "kswin")
"""The detectors that river has as well."""

PEERS: Final = {
    "river": DETECTORS,
    "frouros": (*DETECTORS, "cusum"),
    "datasketches": ("quantiles", "distinct", "frequent"),
    "whylogs": ("profile",),
    "evidently": ("window", "months"),
}
"""The peers by the folders of `benches/peers`, with their tasks."""

TURNS: Final = 5
"""Turns of each contender."""

ROWS: Final = 10_000
COLUMNS: Final = 20
"""The window that is compared."""

ONCE: Final = ("months",)
"""Tasks that a peer needs minutes for: one turn each, without another to warm up."""

WATCHED: Final = 100
"""Monitors whose memory is measured together."""

KEPT: Final = 1
"""Closed windows of each: every further one takes 0.2 kB."""

CALLS: Final = 20
"""A task of ours is repeated so often in a turn, for it is short."""


def _write(folder: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    made: dict[str, npt.NDArray[Any]] = {
        # Without a change, so that no contender spends its time on starting afresh.
        "numbers": np.round(rng.normal(0.3, 0.1, ROWS), 4),
        "errors": (rng.random(ROWS) < 0.2).astype(np.float64),
        "values": rng.lognormal(0, 1, 1_000_000),
        "words": rng.zipf(1.5, 100_000).clip(max=10**9),
        "baseline": rng.normal(0, 1, (ROWS, COLUMNS)),
        "live": rng.normal(0.1, 1, (ROWS, COLUMNS)),
    }
    for name, array in made.items():
        np.save(folder / f"{name}.npy", array)
    months.write(folder)


class Ours:
    """The worker with tidegate's sketches, distances and detectors.

    Args:
        folder: Where the arrays are.
    """

    def __init__(self, folder: str) -> None:
        import numpy as np

        from tidegate import _core
        from tidegate.monitoring import detectors

        def load(name: str) -> Any:
            return np.load(Path(folder) / f"{name}.npy")

        numbers, errors = load("numbers"), load("errors")
        classes: dict[str, tuple[Callable[[], Any], Any]] = {
            "adwin": (detectors.ADWIN, numbers),
            "page_hinkley": (detectors.PageHinkley, numbers),
            "cusum": (partial(detectors.CUSUM, threshold=50.0), numbers),
            "ddm": (detectors.DDM, errors),
            "hddm_a": (detectors.HDDMA, errors),
            "hddm_w": (detectors.HDDMW, errors),
            "kswin": (detectors.KSWIN, numbers[:500]),
        }
        self._tasks: dict[str, Callable[[], Any]] = {
            name: partial(_detect, make, values) for name, (make, values) in classes.items()
        }
        self._values, self._whole = load("values"), load("words")
        self._words = [f"w{x}" for x in self._whole.tolist()]
        self._live = np.ascontiguousarray(load("live").T)
        self._baseline = np.ascontiguousarray(load("baseline").T)
        pairs = zip(self._baseline, self._live, strict=True)
        self._cells = [_core.Cells.of_bins(before, after) for before, after in pairs]
        self._counts = [
            tuple(side.astype(np.float64) for side in cells.counts()) for cells in self._cells
        ]
        self._tasks |= {
            "quantiles": self._quantiles,
            "distinct": self._distinct,
            "frequent": self._frequent,
            "profile": self._profile,
            "window": self._window,
            "numpy": self._numpy,
            "count_numbers": partial(self._count, "numbers"),
            "count_texts": partial(self._count, "texts"),
            "months": self._months,
        }
        self._folder = Path(folder)
        self._tables = _tables(self._live)
        self._monitors: dict[str, Any] = {}
        self._replay: months.Replay | None = None

    def _quantiles(self) -> list[float]:
        from tidegate.sketch import Quantiles

        # As much memory as the peer's, not the exact form.
        sketch = Quantiles(self._values, exact_limit=4096, level_limit=512)
        found: list[float] = sketch.quantile([0.5, 0.99]).tolist()
        return found

    def _distinct(self) -> float:
        from tidegate.sketch import Distinct

        return Distinct(self._whole).estimate

    def _frequent(self) -> int:
        from tidegate.sketch import FrequentItems

        return len(FrequentItems(self._words, limit=1024).sorted())

    def _profile(self) -> int:
        from tidegate.sketch import Distinct, Moments, Quantiles

        made = [
            (
                Moments(column),
                Quantiles(column, exact_limit=4096, level_limit=512),
                Distinct(column),
            )
            for column in self._live
        ]
        return len(made)

    def _window(self) -> int:
        names = ("psi", "kolmogorov_smirnov", "jensen_shannon")
        return len([cells.distance(name) for cells in self._cells for name in names])

    def _count(self, kind: str) -> int:
        """A window of numbers, or of texts, into a monitor, as the observer counts them."""
        if kind not in self._monitors:
            self._monitors[kind] = _monitor(self._tables[kind])
        self._monitors[kind].observe(self._tables[kind], now=0.0)
        return ROWS * COLUMNS

    def state(self) -> float:
        """The bytes that watching a numeric feature takes, with its alarm and its windows."""
        import gc

        gc.collect()
        before = _resident()
        kept = []
        for _ in range(WATCHED):
            monitor = _monitor(self._tables["numbers"].slice(0, 1_000))
            for second in range(KEPT):
                monitor.observe(self._tables["numbers"].slice(0, 100), now=float(second))
                monitor.close(now=float(second))
            kept.append(monitor)
        return (_resident() - before) / (len(kept) * COLUMNS)

    def _months(self) -> dict[str, Any]:
        if self._replay is None:
            # Once, and not in a turn that counts: the peer has read the flights before its turns too.
            self._replay = months.Replay(self._folder)
        return self._replay.run()

    def _numpy(self) -> list[float]:
        return [_psi(before, after) for before, after in self._counts]

    def turn(self, what: str, calls: int) -> dict[str, Any]:
        """One task, several times: seconds of one, and what it found."""
        gc.collect()
        task, found = self._tasks[what], None
        begin = time.perf_counter()
        for _ in range(calls):
            found = task()
        return {"seconds": (time.perf_counter() - begin) / calls, "found": found}


def _tables(live: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The window as numbers, and as texts of which each is one of fifty."""
    import numpy as np
    import pyarrow as pa

    names = [f"x{place}" for place in range(COLUMNS)]
    words = np.array([f"airport {place}" for place in range(50)])
    places = np.abs(live * 10).astype(np.int64) % len(words)
    return {
        "numbers": pa.table(dict(zip(names, live, strict=True))),
        "texts": pa.table(dict(zip(names, words[places], strict=True))),
    }


def _monitor(table: Any) -> Any:
    import math

    from tidegate.monitoring import Baseline, Monitor, Watching

    endless = Watching(rows=10**12, seconds=math.inf)
    return Monitor(Baseline(table), watching=endless, now=0.0)


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _detect(make: Callable[[], Any], values: npt.NDArray[np.float64]) -> list[int]:
    found: list[int] = make().update_many(values).tolist()
    return found


def _psi(baseline: npt.NDArray[np.float64], live: npt.NDArray[np.float64]) -> float:
    """The PSI of counts as NumPy has it, and as `docs/drift.md` writes it down."""
    import numpy as np

    p = np.maximum(baseline / baseline.sum(), 1e-4)
    q = np.maximum(live / live.sum(), 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def measure(context: Context) -> None:
    """Measures tidegate and each peer in turns.

    Args:
        context: Where the figures go: `TASK_over_PEER` is the time of the peer over ours,
            `window_ms` ours for PSI, Kolmogorov–Smirnov and Jensen–Shannon of a window of 10,000 rows and 20
            columns from its state, `window_over_numpy` the time of NumPy for the PSI alone over
            ours for all three.
    """
    context.attempt("watching", partial(_measure, context))


def _measure(context: Context) -> None:
    _write(context.folder)
    figures = context.results.figures
    with Worker("watching", context.places.server, folder=str(context.folder)) as ours:
        ours.call("turn", what="window", calls=1)
        ours.call("turn", what="numpy", calls=1)
        mine, numpys = [], []
        for _ in range(max(3, context.plan.repetitions)):
            mine.append(ours.call("turn", what="window", calls=CALLS)["seconds"])
            numpys.append(ours.call("turn", what="numpy", calls=CALLS)["seconds"])
        figures["window_ms"] = figure([seconds * 1e3 for seconds in mine])
        ratios = [theirs / my for my, theirs in zip(mine, numpys, strict=True)]
        figures["window_over_numpy"] = figure(ratios)
        for kind, name in (("count_numbers", "count_number_ns"), ("count_texts", "count_text_ns")):
            ours.call("turn", what=kind, calls=1)
            took = [ours.call("turn", what=kind, calls=CALLS)["seconds"] for _ in range(TURNS)]
            figures[name] = figure([seconds * 1e9 / (ROWS * COLUMNS) for seconds in took])
        figures["state_kb"] = figure([ours.call("state") / 1e3])
        place = budgets.folder()
        if place is None:
            context.results.not_measured["peers"] = "there is no benches/peers: use the source tree"
            return
        for name, tasks in PEERS.items():
            if context.plan.peers and name not in context.plan.peers:
                continue
            context.attempt(name, partial(_against, context, ours, place / "peers" / name, tasks))


def _against(context: Context, ours: Worker, folder: Path, tasks: tuple[str, ...]) -> None:
    context.progress(f"watching: against {folder.name}")
    python = install(folder, folder.parents[2] / ENVIRONMENTS)
    peer = Peer(python, folder, context.places.server, [str(context.folder)], script="watch.py")
    try:
        for task in tasks:
            if task not in ONCE:
                peer.turn(task)
            ours.call("turn", what=task, calls=1)
            mine, theirs = [], []
            turns = max(3, min(TURNS, context.plan.repetitions))
            for _ in range(1 if task in ONCE else turns):
                mine.append(ours.call("turn", what=task, calls=3))
                theirs.append(peer.turn(task))
            _agree(folder.name, task, mine[-1]["found"], theirs[-1]["found"])
            pairs = zip(mine, theirs, strict=True)
            ratios = [their["seconds"] / my["seconds"] for my, their in pairs]
            context.results.figures[f"{task}_over_{folder.name}"] = figure(ratios)
            took = [median(turn["seconds"] for turn in turns) * 1e3 for turns in (theirs, mine)]
            note = f"watching: {task}: {folder.name} took {took[0]:.3f} ms, tidegate {took[1]:.3f}"
            context.results.notes.append(note)
            if task == "months":
                _compare(context, folder.name, mine[-1]["found"], theirs[-1]["found"])
    finally:
        peer.close()


def _compare(context: Context, name: str, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Says how often both call a column of a month drifted."""
    both = months.agreement(mine["decisions"], theirs["decisions"])
    for method, (same, pairs) in both.items():
        context.results.figures[f"months_{method}_agrees_with_{name}"] = figure([same / pairs])
        note = f"watching: months: {method} of {name} decides alike for {same} of {pairs} columns"
        context.results.notes.append(note)
    for month, columns in mine["alarms"].items():
        note = f"watching: months: {month}: alarms of {', '.join(columns) or 'no column'}"
        context.results.notes.append(note)


def _agree(name: str, task: str, mine: Any, theirs: Any) -> None:
    """Who looks away is fast: river's decisions are ours, and estimates agree."""
    if name == "river" and task != "kswin" and mine != theirs:
        raise InputError(f"{name} finds changes at {theirs} where tidegate finds {mine}: {task}")
    if task == "distinct" and abs(mine / theirs - 1) > 0.05:
        raise InputError(f"{name} counts {theirs} where tidegate counts {mine}")
    if task == "quantiles":
        for my, their in zip(mine, theirs, strict=True):
            if abs(my / their - 1) > 0.2:
                raise InputError(f"{name} finds {theirs} where tidegate finds {mine}")
    if task == "profile" and mine != theirs:
        raise InputError(f"{name} profiles {theirs} columns where tidegate profiles {mine}")
