"""A bundle alone in a process of its own: the memory that it takes and its latency.

Beside a server's other work neither could be told apart, and a model that takes its process down
must take down this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.errors import BackendError, TidegateError

if TYPE_CHECKING:
    from tidegate.registry import Bundle

__all__ = ["Probed", "main", "probe"]

REQUESTS: Final = 3_000
"""Single predictions that are timed, at most."""

SECONDS: Final = 3.0
"""Time for them, at most."""

WARM: Final = 200
"""Predictions before the first one that counts."""

TIMEOUT_SECONDS: Final = 120.0
"""A bundle that takes longer to load and answer hangs."""

# Isolated, so that neither this process's folder nor the user's site decides what is imported.
_CODE: Final = (
    "import json,sys; job=json.load(sys.stdin); sys.path[:]=job['path']; "
    "from tidegate.check.probe import main; main(job)"
)


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured.

    Attributes:
        memory: bytes of resident memory that the loaded and used model added, at its peak.
        load_seconds: from the folder to the first answer.
        latencies: seconds of each single prediction, in order; empty without golden rows.
    """

    memory: int
    load_seconds: float
    latencies: tuple[float, ...]


def probe(bundle: Bundle) -> Probed:
    """Measures a bundle.

    Raises:
        BackendError: its process ended, or took too long.
    """
    job = {
        "digest": bundle.digest if bundle.registered else None,
        "folder": os.fspath(bundle.path),
        "path": sys.path,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CODE],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BackendError(
            f"{bundle} did not load and answer within {TIMEOUT_SECONDS:g} s: it hangs, or the "
            "machine is too small for it"
        ) from None
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
        raise BackendError(
            f"the process that ran {bundle} ended with status {done.returncode}: {last[0]}"
        ) from None
    if "error" in found:
        raise BackendError(found["error"])
    return Probed(found["memory"], found["load_seconds"], tuple(found["latencies"]))


def main(job: dict[str, Any]) -> None:
    """Runs in the process of its own: one line of JSON on standard output."""
    try:
        answer = _measure(job)
    except TidegateError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    from tidegate.check.subject import golden_inputs, opened
    from tidegate.registry import Bundle

    bundle = Bundle.open(job["folder"], digest=job["digest"])
    table = golden_inputs(bundle)
    rows = [] if table is None else table.to_pylist()
    before = _resident("VmRSS")
    began = time.perf_counter()
    latencies: list[float] = []
    with opened(bundle) as subject:
        for row in rows[:1]:
            subject.ask(row)
        loaded = time.perf_counter() - began
        for turn in range(WARM if rows else 0):
            subject.ask(rows[turn % len(rows)])
        until = time.perf_counter() + SECONDS
        while rows and len(latencies) < REQUESTS and time.perf_counter() < until:
            row = rows[len(latencies) % len(rows)]
            start = time.perf_counter()
            subject.ask(row)
            latencies.append(time.perf_counter() - start)
        memory = _resident("VmHWM") - before
    return {"latencies": latencies, "load_seconds": loaded, "memory": max(memory, 0)}


def _resident(what: str) -> int:
    """Bytes of resident memory, as Linux counts them for this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    return 0
