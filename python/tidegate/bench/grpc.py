"""The suite of gRPC: one-row inferences beside an empty tonic service with the same messages.

Both programs, the empty service and the client that makes the load, are examples of `benches/rust`
and are built here: the package itself needs neither.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from tidegate.bench import budgets, http
from tidegate.bench.context import Context
from tidegate.bench.http import Cell, Target
from tidegate.bench.measure import figure
from tidegate.bench.process import Daemon, Worker, environment, free_port, on_core
from tidegate.bench.results import summary
from tidegate.bench.subjects import TREES, Subject
from tidegate.errors import BackendError, MissingDependencyError

__all__ = ["build", "measure"]

PROGRAMS: Final = ("grpc_echo", "grpc_load")

AT: Final = 32
"""The number of connections at which the two are compared."""

OUTPUT: Final = "probabilities"


def measure(context: Context) -> None:
    """Measures gRPC.

    Args:
        context: Where the figures go: `grpc32_over_echo` is the rate at 32 connections over what
            the empty service and bare ONNX Runtime together could do.
    """
    trees = context.trees()
    if trees is not None:
        context.attempt("grpc", lambda: _grpc(context, trees))


def build(source: Path) -> dict[str, Path]:
    """Builds the programs and tells where they are.

    Args:
        source: The source tree.

    Raises:
        MissingDependencyError: cargo is not installed.
        BackendError: They cannot be built; the message has cargo's last line.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise MissingDependencyError("cargo is not installed: the gRPC client is built by it")
    command = [cargo, "build", "--release", "--locked", "--package", "tidegate-benches"]
    for program in PROGRAMS:
        command += ["--example", program]
    done = subprocess.run(
        [*command, "--message-format", "json"],
        capture_output=True,
        text=True,
        cwd=source,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BackendError(f"the gRPC programs cannot be built: {last}")
    made = (orjson.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {
        message["target"]["name"]: Path(message["executable"])
        for message in made
        if message["reason"] == "compiler-artifact" and message["executable"]
    }


def _grpc(context: Context, trees: Subject) -> None:
    place = budgets.folder()
    if place is None:
        raise MissingDependencyError("there is no benches/rust here: run from the source tree")
    context.progress("building the gRPC programs")
    programs = build(place.resolve().parent)
    core, plan = context.places.server, context.plan
    cells: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    row_us: list[float] = []
    with ExitStack() as stack:
        port = free_port()
        ours = http.tidegate(trees, core=core, folder=context.folder, grpc_port=port)
        stack.enter_context(ours.daemon)
        ours = replace(ours, name="tidegate, trees, gRPC", address=f"127.0.0.1:{port}")
        echo = _echo(context, programs["grpc_echo"], trees)
        stack.enter_context(echo.daemon)
        bare = stack.enter_context(
            Worker("bare", core, onnx=str(trees.onnx), matrix=str(trees.matrix))
        )
        for turn in range(plan.repetitions + 1):
            context.progress(f"gRPC, turn {turn} of {plan.repetitions}")
            row = bare.call("batches", rows=AT, calls=300)
            for connections in plan.connections:
                for target in (ours, echo):
                    taken = _load(context, programs["grpc_load"], target, connections)
                    # The first turn teaches caches and branch predictors.
                    if turn:
                        cells[target.name, connections].append(taken)
            if turn:
                row_us.append(row["row_us"])
    for (name, connections), group in cells.items():
        context.results.http.setdefault(name, {})[connections] = summary(group)
    wrong = [cell for group in cells.values() for cell in group if cell.errors]
    if wrong:
        raise BackendError(f"{wrong[0].errors} wrong answers over gRPC: {wrong[0].first_error}")
    turns = zip(cells[ours.name, AT], cells[echo.name, AT], row_us, strict=True)
    by_rate, by_cpu = [], []
    for mine, empty, row_time in turns:
        by_rate.append(mine.rate * (1 / empty.rate + row_time / 1e6))
        by_cpu.append((empty.cpu_us + row_time) / mine.cpu_us)
    context.results.figures["grpc32_over_echo"] = figure(by_rate)
    context.results.figures["grpc32_over_echo_by_cpu"] = figure(by_cpu)


def _echo(context: Context, program: Path, subject: Subject) -> Target:
    port = free_port()
    daemon = Daemon(
        [str(program), str(port)],
        core=context.places.server,
        ready=f"tcp://127.0.0.1:{port}",
        log=context.folder / "grpc-echo.log",
    )
    return Target("tonic, fixed answer", daemon, f"127.0.0.1:{port}", "", subject.cases, False)


def _load(context: Context, program: Path, target: Target, connections: int) -> Cell:
    plan = {
        "address": target.address,
        "model": TREES,
        "cases": str(target.cases),
        "connections": connections,
        "seconds": context.plan.seconds,
        "output": OUTPUT if target.checked else None,
    }
    path = context.folder / "grpc-plan.json"
    path.write_bytes(orjson.dumps(plan))
    before = target.daemon.usage()
    with on_core(context.places.client):
        done = subprocess.run(
            [str(program), str(path)], capture_output=True, env=environment(), check=False
        )
    if done.returncode:
        raise BackendError(f"the gRPC client failed: {done.stderr.decode(errors='replace')}")
    report: dict[str, Any] = orjson.loads(done.stdout)
    spent = target.daemon.usage().cpu_seconds - before.cpu_seconds
    return Cell(
        rate=report["rate"],
        p50_us=report["latency_us"]["p50"],
        p99_us=report["latency_us"]["p99"],
        errors=sum(report["errors"].values()),
        first_error=report["first_error"],
        cpu_us=spent / max(1, report["requests"]) * 1e6,
        batch=None,
        foreign=0.0,
    )
