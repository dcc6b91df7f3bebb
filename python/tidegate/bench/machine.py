"""What the machine and the processes on it are doing, read from `/proc`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.errors import UnsupportedError

__all__ = [
    "Cores",
    "Process",
    "Usage",
    "busy_seconds",
    "cores",
    "describe",
    "family",
    "shared_memory_mb",
    "usage",
]

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server under test, and that of its client."""

    server: int
    client: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it began.

    Attributes:
        cpu_seconds: User and system time of all of its threads.
        peak_rss_mb: The most memory that it held at once, in 10⁶ bytes.
    """

    cpu_seconds: float
    peak_rss_mb: float


def cores() -> Cores:
    """Two different cores of those that this process may use.

    Raises:
        UnsupportedError: There is only one, on which a client would take the server's time.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise UnsupportedError(
            "the benchmarks need two cores, one for the server and one for its client: "
            "run them on a machine that has two"
        )
    return Cores(server=usable[0], client=usable[1])


def usage(pid: int) -> Usage:
    """What a process of ours has used so far.

    Args:
        pid: The process.

    Returns:
        Its usage, to a hundredth of a second.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    ours = _process(pid)
    return Usage(
        cpu_seconds=ours.cpu_seconds if ours else 0.0,
        peak_rss_mb=int(peak.split()[1]) * 1024 / 1e6,
    )


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the system lists it.

    Attributes:
        pid: Its number.
        parent: That of its parent.
        session: That of its session.
        begun: When it began, in ticks: with the number it tells a process from a later one.
        cpu_seconds: User and system time of all of its threads.
    """

    pid: int
    parent: int
    session: int
    begun: int
    cpu_seconds: float


def family(root: int, known: Iterable[Process] = ()) -> list[Process]:
    """A server's processes: its children and theirs, and those of its session.

    Args:
        root: The process that was started, leader of a session.
        known: Members found earlier, which may have lost their parents since.
    """
    listed = (
        _process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    )
    running = [process for process in listed if process is not None]
    earlier = {(process.pid, process.begun) for process in known}
    members = {
        process.pid
        for process in running
        if process.session == root or (process.pid, process.begun) in earlier
    }
    size = -1
    while size != len(members):
        size = len(members)
        members |= {process.pid for process in running if process.parent in members}
    return [process for process in running if process.pid in members]


def shared_memory_mb(processes: Iterable[Process]) -> float:
    """The memory of some processes in 10⁶ bytes, pages that several map divided among them."""
    total = 0
    for process in processes:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue  # It has ended meanwhile.
        line = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
        total += int(line.split()[1]) * 1024
    return total / 1e6


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name of the program may hold spaces; what follows its closing bracket does not.
    fields = text.rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) * _TICK
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), cpu)


def busy_seconds() -> float:
    """The time that all cores together have spent working since the machine was started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) * _TICK


def describe() -> dict[str, object]:
    """The machine in a few words: figures are compared only between like machines."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }
