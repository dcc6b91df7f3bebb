"""Processes of a benchmark: workers that answer calls, and servers, each on a core of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from tidegate.bench.machine import Process, Usage, family, shared_memory_mb, usage
from tidegate.errors import BackendError, DeadlineError

__all__ = ["Daemon", "Worker", "free_port", "on_core"]

READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 10.0


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started inside inherit this one core.

    Args:
        core: The core.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A TCP port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """The environment of every process under test: one thread a library, no telemetry."""
    single = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return {**os.environ, **dict.fromkeys(single, "1"), "ORT_DISABLE_TELEMETRY": "1"}


class Worker:
    """A process of ours that answers one call after the other (`tidegate.bench.worker`).

    Contenders that must not share a process, such as our runtime and Python's ONNX Runtime, take
    turns at the command of this one.

    Args:
        kind: What the worker is: a key of `tidegate.bench.worker.KINDS`.
        core: The core that it runs on; `None` leaves it to the system.
        arguments: What its constructor takes.

    Raises:
        BackendError: It could not be started; the message is its own error.
    """

    def __init__(self, kind: str, core: int | None, **arguments: object) -> None:
        command = [sys.executable, "-m", "tidegate.bench.worker", kind]
        with on_core(core) if core is not None else _anywhere():
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
            )
        self._kind = kind
        self.call("__init__", **arguments)

    def call(self, method: str, **arguments: object) -> Any:
        """Calls a method of the worker and waits for what it returns.

        Args:
            method: Its name.
            arguments: JSON values.

        Raises:
            BackendError: The method raised, or the worker died; the message says which.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise BackendError(f"the worker {self._kind!r} has no pipes: start a new one")
        try:
            process.stdin.write(orjson.dumps([method, arguments]) + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = process.stdout.readline()
        if not answer:
            code = process.wait()
            raise BackendError(f"the worker {self._kind!r} died with status {code}: see its output")
        ok, value = orjson.loads(answer)
        if not ok:
            raise BackendError(f"the worker {self._kind!r} failed: {value}")
        return value

    def usage(self) -> Usage:
        """What the worker has used so far."""
        return usage(self._process.pid)

    def close(self) -> None:
        """Ends the worker; harmless when it has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        _stop(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Daemon:
    """A server under test on a core of its own.

    Args:
        command: Its program and arguments.
        core: The core.
        ready: Address that answers with status 200 when the server is ready, or `tcp://host:port`
            for one that is ready when it listens.
        log: Where what it prints goes.

    Raises:
        DeadlineError: It was not ready within two minutes, or ended; the message quotes its log.
    """

    def __init__(self, command: Sequence[str], *, core: int, ready: str, log: Path) -> None:
        self._log = log
        self._members: list[Process] = []
        with log.open("wb") as output, on_core(core):
            self._process = subprocess.Popen(
                list(command),
                stdout=output,
                stderr=output,
                env=environment(),
                start_new_session=True,
            )
        end = time.monotonic() + READY_SECONDS
        while not _answers(ready):
            if self._process.poll() is not None or time.monotonic() > end:
                self.close()
                tail = log.read_text(errors="replace").strip()[-600:]
                raise DeadlineError(f"{command[0]} is not ready at {ready}: {tail}")
            time.sleep(0.02)
        self._look()

    def _look(self) -> list[Process]:
        self._members = family(self._process.pid, self._members)
        return self._members

    def usage(self) -> Usage:
        """What the server has used so far, with the CPU time of every process of it."""
        members = self._look()
        return replace(
            usage(self._process.pid), cpu_seconds=sum(one.cpu_seconds for one in members)
        )

    def memory_mb(self) -> float:
        """What all processes of the server hold now, in 10⁶ bytes."""
        return shared_memory_mb(self._look())

    def close(self) -> None:
        """Stops the server and every process of it; harmless when it has stopped."""
        self._look()
        _stop(self._process)
        for left in self._look():
            with suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _anywhere() -> Iterator[None]:
    yield


def _answers(address: str) -> bool:
    try:
        if address.startswith("tcp://"):
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=1).close()
            return True
        with urllib.request.urlopen(address, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
