"""What the machine and the processes on it are doing, read from `/proc`."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.errors import UnsupportedError

__all__ = ["Cores", "Usage", "busy_seconds", "cores", "describe", "usage"]

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
    # The name of the program may hold spaces; what follows its closing bracket does not.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) * _TICK
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return Usage(cpu_seconds=cpu, peak_rss_mb=int(peak.split()[1]) * 1024 / 1e6)


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
