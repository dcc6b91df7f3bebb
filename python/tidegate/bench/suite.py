"""The suites, and a run of some of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tidegate.bench import (
    basic,
    feature_suite,
    grpc,
    limits,
    loading,
    memory,
    moving,
    overload,
    peers,
    validation,
    watching,
)
from tidegate.bench.context import FULL, Context, Plan, Progress
from tidegate.bench.machine import cores, describe
from tidegate.bench.results import Results
from tidegate.errors import InputError

__all__ = ["BASIC", "SUITES", "run"]

BASIC: Final = "basic"
"""The suite that is run when none is named, and to which a goal belongs that names none."""

SUITES: Final[Mapping[str, Callable[[Context], None]]] = {
    BASIC: basic.measure,
    "limits": limits.measure,
    "overload": overload.measure,
    "grpc": grpc.measure,
    "peers": peers.measure,
    "memory": memory.measure,
    "loading": loading.measure,
    "validation": validation.measure,
    "features": feature_suite.measure,
    "watching": watching.measure,
    "moving": moving.measure,
}
"""Each suite with what it does."""


def run(
    plan: Plan = FULL,
    *,
    suites: Sequence[str] = (BASIC,),
    progress: Progress = lambda _: None,
) -> Results:
    """Runs the benchmarks.

    Args:
        plan: How long and how often.
        suites: Names in `SUITES`.
        progress: Is told what is being done.

    Returns:
        The results. What could not be measured is named in them, not raised.

    Raises:
        InputError: There is no such suite.
        UnsupportedError: The machine has one core only.
    """
    for name in suites:
        if name not in SUITES:
            raise InputError(f"there is no suite {name!r}: take one of {', '.join(SUITES)}")
    begin = time.monotonic()
    results = Results(machine=describe(), suites=list(suites))
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        context = Context(plan, cores(), Path(folder), results, progress)
        for name in suites:
            SUITES[name](context)
    results.seconds = time.monotonic() - begin
    return results
