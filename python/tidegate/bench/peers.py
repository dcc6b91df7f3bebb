"""The suite of peers: tidegate beside other servers, each in an environment of its own.

All serve the bare trees, then the flights with their features, which a peer computes in Python.

One peer runs at a time, in each of its settings, and takes turns with tidegate: a server that
idles on the same core would still take some of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from tidegate.bench import budgets, http
from tidegate.bench.context import Context
from tidegate.bench.http import Cell, Target
from tidegate.bench.measure import figure
from tidegate.bench.process import Daemon, Worker, free_port
from tidegate.bench.results import summary
from tidegate.bench.subjects import ANSWER, Subject
from tidegate.errors import ConfigurationError, InputError, TidegateError

__all__ = ["AT", "SUBJECTS", "Peer", "install", "measure", "peers_in"]

AT: Final = 32
"""How many connections ask tidegate when it is compared with a peer at the peer's best number."""

SUBJECTS: Final[Mapping[str, str]] = {"trees": "http32_over", "flights": "flights_over"}
"""What is served, in the order of the runs, with what the names of the figures begin with."""

ENVIRONMENTS: Final = ".venv-peers"
"""The folder of the peers' environments, beside `benches`."""

LONGER: Final = 3.0
"""Runs are longer than with our own servers: some peers take a second for an answer."""

USUAL: Final = "default"
"""What the only setting of a peer is called that names none."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare with: `service.py MODEL PORT` in the environment of a lock.

    Where a request brings raw columns, the service is told so by `--features FILE`: the file has
    what the features have learned.

    Attributes:
        folder: Where it is; its last part is the peer's name.
        path: The request target; `{model}` is the model's name.
        ready: The target that answers with status 200 when it is ready, likewise.
        answer: Texts that precede the expected numbers in an answer.
        settings: Further arguments of the service for each setting that is measured.
        subjects: What it is measured with.
    """

    folder: Path
    path: str = "/v2/models/{model}/infer"
    ready: str = "/v2/health/ready"
    answer: Sequence[str] = ANSWER
    settings: Mapping[str, Sequence[str]] = field(default_factory=lambda: {USUAL: ()})
    subjects: Sequence[str] = tuple(SUBJECTS)

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.folder.name


def peers_in(folder: Path) -> list[Peer]:
    """The peers of a folder: those with a service and a lock, by name.

    Args:
        folder: `benches/peers` of the source tree. A peer that is not asked as tidegate is, or has
            several settings, says so in `peer.toml`: the fields of `Peer`.

    Raises:
        ConfigurationError: A `peer.toml` cannot be read or has an unknown field.
    """
    found = []
    for lock in sorted(folder.glob("*/requirements.lock")):
        if not (lock.parent / "service.py").is_file():
            continue
        path = lock.parent / "peer.toml"
        try:
            fields: dict[str, Any] = tomllib.loads(path.read_text()) if path.is_file() else {}
            found.append(Peer(lock.parent, **fields))
        except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
            raise ConfigurationError(f"the peer in {path} cannot be read: {error}") from error
    return found


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
    pip = (str(python), "-m", "pip")
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        # A lock is complete, and pip's resolver asks for hashes of extras a second time.
        [*pip, "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(lock)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise TidegateError(f"the environment of {peer.name} could not be made: {last}")
    stamp.write_bytes(lock.read_bytes())
    return python


def measure(context: Context) -> None:
    """Measures each peer in each of its settings, in turns with tidegate.

    Args:
        context: Where the figures go: `http32_over_NAME` is tidegate at 32 connections over the
            peer at its best, which is the setting and the number of connections with most right
            answers a second; `flights_over_NAME` the same with the flights.

    Raises:
        InputError: There is no such peer or subject.
    """
    place = budgets.folder()
    if place is None:
        context.results.not_measured["peers"] = "there is no benches/peers: use the source tree"
        return
    found = {peer.name: peer for peer in peers_in(place / "peers")}
    chosen = context.plan.peers or list(found)
    for name in chosen:
        if name not in found:
            raise InputError(f"there is no peer {name!r}: take one of {', '.join(found)}")
    for kind in context.plan.subjects:
        if kind not in SUBJECTS:
            raise InputError(f"there is no subject {kind!r}: take one of {', '.join(SUBJECTS)}")
    for kind in context.plan.subjects or SUBJECTS:
        peers = [found[name] for name in chosen if kind in found[name].subjects]
        if not peers:
            continue
        subject = context.trees() if kind == "trees" else context.flights()
        if subject is not None:
            _measure(context, kind, subject, peers)


def _measure(context: Context, kind: str, subject: Subject, peers: Sequence[Peer]) -> None:
    with Worker("load", context.places.client) as client:
        ours = context.attempt(
            f"tidegate, {subject.name}",
            lambda: http.tidegate(subject, core=context.places.server, folder=context.folder),
        )
        if ours is None:
            return
        with ours.daemon:
            turns = Turns(context, client, ours, kind, subject)
            turns.ours_alone()
            for peer in peers:
                context.attempt(turns.called(peer), partial(turns.against, peer))


@dataclass(frozen=True, slots=True)
class Best:
    """A peer where it is best.

    Attributes:
        rate: Its right answers a second.
        setting: Its setting.
        connections: The number of connections.
        ratios: The rate of tidegate over its own in each repetition.
    """

    rate: float
    setting: str
    connections: int
    ratios: Sequence[float]


class Turns:
    """tidegate, and one peer after the other beside it, all with the same subject."""

    def __init__(
        self, context: Context, client: Worker, ours: Target, kind: str, subject: Subject
    ) -> None:
        self._context = context
        self._client = client
        self._ours = ours
        self._kind = kind
        self._subject = subject

    def called(self, peer: Peer, setting: str = USUAL) -> str:
        """What the results call a peer in a setting.

        Args:
            peer: The peer.
            setting: One of its settings.
        """
        parts = [peer.name, *(() if setting == USUAL else (setting,))]
        return ", ".join([*parts, *(() if self._kind == "trees" else (self._subject.name,))])

    def _cell(self, target: Target, connections: int) -> Cell:
        return http.measure(
            self._client,
            target,
            core=self._context.places.client,
            connections=connections,
            seconds=LONGER * self._context.plan.seconds,
        )

    def ours_alone(self) -> None:
        """Measures tidegate at each number of connections."""
        plan = self._context.plan
        self._context.progress("tidegate at each number of connections")
        self._cell(self._ours, 8)
        cells: dict[int, list[Cell]] = defaultdict(list)
        for _ in range(plan.repetitions):
            for at in plan.connections:
                cells[at].append(self._cell(self._ours, at))
        self._context.results.http[self._ours.name] = {
            at: summary(group) for at, group in cells.items()
        }

    def against(self, peer: Peer) -> None:
        """One peer in each of its settings; what cannot be measured is named in the results.

        Args:
            peer: The peer.

        Raises:
            TidegateError: It could not be installed.
        """
        context, results = self._context, self._context.results
        context.progress(f"installing {peer.name}")
        python = install(peer.folder, peer.folder.parents[2] / ENVIRONMENTS)
        versions = _versions(peer.folder / "requirements.lock")
        asked = [package for package in versions if package in _asked(peer.folder)]
        known = results.peers.setdefault(peer.name, {"versions": versions, "asked": asked})
        known[self._kind] = {}
        best: Best | None = None
        for setting in peer.settings:
            name = self.called(peer, setting)
            found = context.attempt(name, partial(self._setting, peer, setting, name, python))
            if found is not None and (best is None or found.rate > best.rate):
                best = found
        if best is not None:
            known[self._kind] = {
                "best": best.setting,
                "name": self.called(peer, best.setting),
                "connections": best.connections,
                "rate": best.rate,
            }
            results.figures[f"{SUBJECTS[self._kind]}_{peer.name}"] = figure(best.ratios)

    def _setting(self, peer: Peer, setting: str, name: str, python: Path) -> Best | None:
        """A peer in one setting, and the number of connections that it likes best."""
        results = self._context.results
        self._context.progress(f"measuring {name}")
        target = self._start(peer, name, python, peer.settings[setting])
        with target.daemon:
            mine, theirs = self._turns(target)
            results.memory_mb[name] = target.daemon.memory_mb()
        results.http[name] = {at: summary(group) for at, group in theirs.items()}
        wrong = sum(cell.errors for group in theirs.values() for cell in group)
        if wrong:
            raise TidegateError(f"{wrong} wrong answers, so it is not compared")
        best: Best | None = None
        for at, group in theirs.items():
            rate = median(cell.rate for cell in group)
            # A server so slow that nothing was answered in one of the runs is not at its best.
            slow = not all(cell.rate for cell in group)
            if not slow and (best is None or rate > best.rate):
                ratios = [a.rate / b.rate for a, b in zip(mine, group, strict=True)]
                best = Best(rate, setting, at, ratios)
        return best

    def _start(self, peer: Peer, name: str, python: Path, arguments: Sequence[str]) -> Target:
        context, subject = self._context, self._subject
        port = free_port()
        command = [str(python), str(peer.folder / "service.py"), *subject.service(port), *arguments]
        daemon = Daemon(
            command,
            core=context.places.server,
            ready=f"http://127.0.0.1:{port}{peer.ready.format(model=subject.name)}",
            log=context.folder / f"{name.replace(', ', '-').replace(' ', '-')}.log",
        )
        path = peer.path.format(model=subject.name)
        return Target(
            name, daemon, f"127.0.0.1:{port}", path, subject.cases, numbers_after=peer.answer
        )

    def _turns(self, target: Target) -> tuple[list[Cell], dict[int, list[Cell]]]:
        plan = self._context.plan
        first = self._cell(target, 8)
        if first.errors:
            raise TidegateError(f"wrong answers of {target.name}: {first.first_error}")
        mine: list[Cell] = []
        theirs: dict[int, list[Cell]] = defaultdict(list)
        for _ in range(plan.repetitions):
            mine.append(self._cell(self._ours, AT))
            for at in plan.connections:
                theirs[at].append(self._cell(target, at))
        return mine, theirs


def _asked(folder: Path) -> set[str]:
    """The packages that the peer itself names."""
    lines = (folder / "requirements.in").read_text().split()
    return {re.split(r"[<>=\[]", line)[0] for line in lines}


def _versions(lock: Path) -> dict[str, str]:
    """Packages and versions of a lock."""
    lines = (line.split()[0] for line in lock.read_text().splitlines() if "==" in line)
    return dict(line.split("==", 1) for line in lines)
