"""tidegate beside other servers: each in an environment of its own, with the same model and bodies."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tidegate.bench import http
from tidegate.bench.http import Cell, Target
from tidegate.bench.machine import cores
from tidegate.bench.process import Daemon, Worker, free_port
from tidegate.bench.subjects import Subject, build_trees
from tidegate.errors import TidegateError

__all__ = ["CONNECTIONS", "PeerReport", "compare", "install", "peers_in"]

CONNECTIONS: Final = (1, 8, 32, 128)
"""How many connections ask at one time, in turns."""

ENVIRONMENTS: Final = ".venv-peers"
"""The folder of the peers' environments, beside `benches`."""


@dataclass
class PeerReport:
    """What was measured of each server.

    Attributes:
        versions: What is in each peer's lock.
        cells: By server and number of connections, the median of the repetitions by rate.
        not_measured: Servers that could not be asked, and why.
    """

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    cells: dict[str, dict[int, Cell]] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)


def peers_in(folder: Path) -> list[Path]:
    """The peers of a folder: those with a service and a lock, by name.

    Args:
        folder: `benches/peers` of the source tree.
    """
    locks = sorted(folder.glob("*/requirements.lock"))
    return [lock.parent for lock in locks if (lock.parent / "service.py").is_file()]


def install(peer: Path, environments: Path) -> Path:
    """Makes a peer's environment from its lock, unless it is there already.

    Args:
        peer: Its folder.
        environments: Where the environments are.

    Returns:
        The environment's Python.

    Raises:
        TidegateError: The lock could not be installed; the message has pip's last line.
    """
    place = environments / peer.name
    python, stamp = place / "bin" / "python", place / "installed.lock"
    lock = peer / "requirements.lock"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise TidegateError(f"the environment of {peer.name} could not be made: {last}")
    stamp.write_bytes(lock.read_bytes())
    return python


def compare(
    folder: Path,
    *,
    seconds: float = 3.0,
    repetitions: int = 5,
    connections: Sequence[int] = CONNECTIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> PeerReport:
    """Starts tidegate and each peer, checks their answers, and measures them in turns.

    Args:
        folder: `benches/peers` of the source tree.
        seconds: How long each cell is measured.
        repetitions: How often.
        connections: How many connections ask at one time.
        progress: Told what is being done.

    Raises:
        UnsupportedError: The machine has one core, on which a client would take the server's time.
    """
    report, places = PeerReport(), cores()
    environments = folder.parents[1] / ENVIRONMENTS
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        work = Path(temporary)
        progress("preparing the model")
        subject = build_trees(work)
        client = stack.enter_context(Worker("load", places.client))

        def cell(target: Target, at: int, long: float) -> Cell:
            return http.measure(client, target, core=places.client, connections=at, seconds=long)

        makers: dict[str, Callable[[], Target]] = {
            "tidegate": lambda: http.tidegate(subject, core=places.server, folder=work)
        }
        for peer in peers_in(folder):
            report.versions[peer.name] = _versions(peer / "requirements.lock")
            makers[peer.name] = _maker(peer, environments, subject, places.server, work)
        targets: dict[str, Target] = {}
        for name, make in makers.items():
            progress(f"starting {name}")
            try:
                target = make()
                stack.enter_context(target.daemon)
                first = cell(target, 8, seconds / 2)
            except (TidegateError, OSError) as error:
                report.not_measured[name] = str(error)
                continue
            if first.errors:
                report.not_measured[name] = f"wrong answers: {first.first_error}"
                continue
            targets[name] = target
        cells: dict[tuple[str, int], list[Cell]] = defaultdict(list)
        for repetition in range(repetitions):
            progress(f"repetition {repetition + 1} of {repetitions}")
            for at in connections:
                for name, target in targets.items():
                    cells[name, at].append(cell(target, at, seconds))
    for (name, at), group in cells.items():
        middle = median(one.rate for one in group)
        report.cells.setdefault(name, {})[at] = min(group, key=lambda c: abs(c.rate - middle))
    return report


def _maker(
    peer: Path, environments: Path, subject: Subject, core: int, work: Path
) -> Callable[[], Target]:
    def make() -> Target:
        python = install(peer, environments)
        port = free_port()
        daemon = Daemon(
            [str(python), str(peer / "service.py"), str(subject.onnx), str(port)],
            core=core,
            ready=f"http://127.0.0.1:{port}/v2/health/ready",
            log=work / f"{peer.name}.log",
        )
        path = f"/v2/models/{subject.name}/infer"
        return Target(peer.name, daemon, f"127.0.0.1:{port}", path, subject.cases)

    return make


def _versions(lock: Path) -> dict[str, str]:
    """Packages and versions of a lock."""
    lines = (line.split()[0] for line in lock.read_text().splitlines() if "==" in line)
    return dict(line.split("==", 1) for line in lines)
