"""Plots of a run, drawn by `benches/plots` in an environment of its own lock, as peers are run."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import orjson

from tidegate.bench import budgets
from tidegate.bench.peers import ENVIRONMENTS, install
from tidegate.errors import TidegateError

__all__ = ["draw"]


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draws throughput and latency by connections, goodput by offered load, memory by requests.

    Args:
        document: What `tidegate.bench.report.document` made of the results; what was not measured
            is not drawn.
        folder: Where the SVG files go.

    Raises:
        TidegateError: There is no source tree, the environment cannot be made, or drawing failed.
    """
    place = budgets.folder()
    if place is None:
        raise TidegateError("there is no benches/plots here: run from the source tree")
    plots = (place / "plots").resolve()
    python = install(plots, plots.parents[1] / ENVIRONMENTS)
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        report.write(orjson.dumps(document))
        report.flush()
        done = subprocess.run(
            [str(python), str(plots / "plot.py"), report.name, str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TidegateError(f"the plots could not be drawn: {last}")
