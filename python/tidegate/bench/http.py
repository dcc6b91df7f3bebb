"""One-row V2 JSON over HTTP at several numbers of connections, against peers and floors.

Server and client are on different cores, the bodies vary, every answer is checked, and the
contenders take turns.
"""

from __future__ import annotations

import shutil
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from tidegate.bench.machine import busy_seconds
from tidegate.bench.process import Daemon, Worker, free_port
from tidegate.bench.subjects import ANSWER, Subject
from tidegate.errors import MissingDependencyError

__all__ = ["Cell", "Target", "echo_of", "measure", "nginx", "starlette", "tidegate", "wrk_rate"]

NGINX: Final = "/usr/sbin/nginx"

WARMUP: Final = 0.25
"""Seconds of an open loop with an objective before its answers count."""

"""Where Debian puts it, which is not on everybody's path."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test, and how it is asked.

    Attributes:
        name: What the report calls it.
        daemon: The process.
        address: `host:port`.
        path: The request target.
        cases: Bodies with the probabilities that are due.
        checked: Whether the probabilities are compared; a fixed answer has none.
        statistics: Path of the statistics of the protocol, where they are offered.
        numbers_after: Texts that precede the probabilities in an answer.
        form: How an answer holds them.
        headers: Further header fields of a request.
    """

    name: str
    daemon: Daemon
    address: str
    path: str
    cases: Path
    checked: bool = True
    statistics: str | None = None
    numbers_after: Sequence[str] = ANSWER
    form: Literal["json", "fp32"] = "json"
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: a target at a number of connections.

    Attributes:
        rate: Right answers a second.
        p50_us: Median latency.
        p99_us: 99 of 100 are below.
        errors: Requests without a right answer; in a closed loop, refused ones too.
        first_error: What the first of them was.
        cpu_us: The server's CPU time a request.
        batch: Rows a batch, where the server tells.
        foreign: Share of the machine that was busy with something else.
        good: Right answers a second that came within the objective, if there is one.
        refused: Requests a second that the server refused.
        dropped: Requests a second that were due while no connection was free, and were given up.
    """

    rate: float
    p50_us: float
    p99_us: float
    errors: int
    first_error: str | None
    cpu_us: float
    batch: float | None
    foreign: float
    good: float = 0.0
    refused: float = 0.0
    dropped: float = 0.0


def tidegate(
    subject: Subject,
    *,
    core: int,
    folder: Path,
    watch: bool = True,
    settings: Mapping[str, str] | None = None,
    grpc_port: int | None = None,
) -> Target:
    """`tidegate serve` with one worker.

    Args:
        subject: What it serves.
        core: Its core.
        folder: For its log.
        watch: Whether it observes what passes.
        settings: Any other settings by `section.key`.
        grpc_port: The port on which it speaks gRPC as well.
    """
    name = f"tidegate, {subject.name}" if watch else f"tidegate, {subject.name} unwatched"
    given = [f"{key}={value}" for key, value in (settings or {}).items()]
    name = " ".join([name, *given])
    address = f"127.0.0.1:{free_port()}"
    command = [
        *(sys.executable, "-m", "tidegate.cli", "serve", subject.reference),
        *("--registry", str(subject.registry), "--workers", "1", "--echo"),
        *("--host", "127.0.0.1", "--port", address.rpartition(":")[2]),
        *(("--no-grpc",) if grpc_port is None else ("--grpc-port", str(grpc_port))),
        *(() if watch else ("--no-watch",)),
        *(part for one in given for part in ("--set", one)),
    ]
    daemon = Daemon(
        command,
        core=core,
        ready=f"http://{address}/v2/health/ready",
        log=folder / f"{name.replace(', ', '-').replace(' ', '-')}.log",
    )
    model = f"/v2/models/{subject.name}"
    return Target(
        name,
        daemon,
        address,
        f"{model}/infer",
        subject.cases,
        True,
        f"{model}/stats",
    )


def echo_of(target: Target) -> Target:
    """The same server's cheapest route: what HTTP alone costs it."""
    return Target("tidegate echo", target.daemon, target.address, "/v2/echo", target.cases, False)


def starlette(subject: Subject, *, core: int, folder: Path, peers: Path) -> Target:
    """The hand-written service of `benches/peers`.

    Raises:
        MissingDependencyError: It, or the fast HTTP parser that it deserves, is not installed.
    """
    import importlib.util

    script = peers / "starlette" / "service.py"
    if not script.is_file():
        raise MissingDependencyError(f"the peer is not in {peers}: run from the source tree")
    if importlib.util.find_spec("httptools") is None:
        raise MissingDependencyError("without httptools the peer is slow: pip install httptools")
    port = free_port()
    address = f"127.0.0.1:{port}"
    daemon = Daemon(
        [sys.executable, str(script), *subject.service(port)],
        core=core,
        ready=f"http://{address}/v2/health/ready",
        log=folder / "starlette.log",
    )
    path = f"/v2/models/{subject.name}/infer"
    return Target("Starlette + onnxruntime", daemon, address, path, subject.cases)


def nginx(subject: Subject, *, core: int, folder: Path, peers: Path) -> Target:
    """The floor of HTTP: nginx with one worker and a fixed answer.

    Raises:
        MissingDependencyError: It is not installed.
    """
    program = shutil.which("nginx") or (NGINX if Path(NGINX).is_file() else None)
    template = peers / "nginx.conf"
    if program is None or not template.is_file():
        raise MissingDependencyError("nginx is not installed: apt-get install nginx-light")
    place = (folder / "nginx").resolve()
    place.mkdir(parents=True, exist_ok=True)
    port = free_port()
    text = template.read_text().replace("DIRECTORY", str(place)).replace("PORT", str(port))
    (place / "nginx.conf").write_text(text)
    daemon = Daemon(
        [program, "-p", str(place), "-c", "nginx.conf"],
        core=core,
        ready=f"http://127.0.0.1:{port}/",
        log=folder / "nginx.log",
    )
    return Target("nginx, fixed body", daemon, f"127.0.0.1:{port}", "/", subject.cases, False)


def measure(
    client: Worker,
    target: Target,
    *,
    core: int,
    connections: int,
    seconds: float,
    rate: float | None = None,
    within: float | None = None,
) -> Cell:
    """Makes load on one target.

    Args:
        client: The worker that makes load.
        target: The server.
        core: The client's core.
        connections: How many.
        seconds: How long.
        rate: Requests a second of an open loop; `None` is a closed one.
        within: The objective in seconds. With one, an open loop gives up what finds no connection:
            a backlog in the client would hide what the server does.

    Returns:
        What was measured.
    """
    load: dict[str, Any] = {
        "address": target.address,
        "path": target.path,
        "connections": connections,
        "seconds": seconds,
        # The first requests of so many new connections wait for these to be taken in.
        "warmup_seconds": 0.0 if within is None else WARMUP,
        "cpu": core,
        "numbers_after": list(target.numbers_after),
        "form": target.form,
        "headers": list(target.headers),
        "seed": connections,
        "rate": rate,
        "within_seconds": within,
        "late": "wait" if within is None else "drop",
    }
    batches = _batches(target)
    server, us, busy = target.daemon.usage(), client.usage(), busy_seconds()
    report: dict[str, Any] = client.call(
        "run", load=load, cases=str(target.cases), check=target.checked
    )
    spent = target.daemon.usage().cpu_seconds - server.cpu_seconds
    ours = client.usage().cpu_seconds - us.cpu_seconds + spent
    foreign = max(0.0, busy_seconds() - busy - ours)
    after = _batches(target)
    batch = None
    if batches and after and after[1] > batches[1]:
        batch = (after[0] - batches[0]) / (after[1] - batches[1])
    latency, long = report["latency_us"], max(report["seconds"], 1e-9)
    errors = sum(report["errors"].values())
    return Cell(
        rate=report["rate"],
        p50_us=latency["p50"],
        p99_us=latency["p99"],
        errors=errors + (report["refused"] if rate is None else 0),
        first_error=report["first_error"],
        cpu_us=spent / max(1, report["requests"]) * 1e6,
        batch=batch,
        foreign=foreign / long,
        good=report["within"] / long,
        refused=report["refused"] / long,
        dropped=report["dropped"] / long,
    )


def _batches(target: Target) -> tuple[int, int] | None:
    """Rows and batches so far, from the statistics extension of the protocol."""
    if target.statistics is None:
        return None
    with urllib.request.urlopen(f"http://{target.address}{target.statistics}", timeout=5) as answer:
        model = orjson.loads(answer.read())["model_stats"][0]
    return int(model["inference_count"]), int(model["execution_count"])


def wrk_rate(target: Target, *, core: int, connections: int, seconds: float) -> float | None:
    """The rate that `wrk` reaches on a target with a fixed answer: a check of our own generator.

    Returns:
        Requests a second; `None` where wrk is not installed or says something else.
    """
    import subprocess

    program = shutil.which("wrk")
    if program is None:
        return None
    from tidegate.bench.process import on_core

    command: Sequence[str] = [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}"]
    with on_core(core):
        done = subprocess.run(
            [*command, f"http://{target.address}{target.path}"],
            capture_output=True,
            text=True,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith("Requests/sec:"):
            return float(line.split()[1])
    return None
