"""The servers under test, each in a process of its own, with the same models."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.case import CLIENTS
from tests.conformance.models import MODELS
from tests.conformance.triton_models import SPARE, write_repository

__all__ = ["ROOT", "SPEAKS", "TRITON_PYTHON", "Serving", "tidegate", "triton", "why_no_triton"]

SPEAKS = {"tidegate": CLIENTS, "triton": CLIENTS}
"""The clients that each server has a port for."""

ROOT = Path(__file__).parents[2]
TRITON_PYTHON = ROOT / ".venv-triton" / "bin" / "python"
"""The environment of requirements/triton.lock."""
LAUNCH = ROOT / "benches" / "peers" / "triton" / "launch.py"
"""Becomes the Triton of that environment; the benchmarks start theirs by it, too."""
START = 60.0
"""Seconds that a server gets to be ready, on a machine that does other work."""
END = 20.0
ONNX_VERSION = "0.0.0"
"""What tidegate gives to a model without a bundle."""


@dataclass(frozen=True)
class Serving:
    """A server that is ready."""

    name: str
    http: str
    """`host:port`."""
    grpc: str | None
    """`host:port`, where it speaks gRPC."""
    version: str
    """The version of every model."""


def why_no_triton() -> str | None:
    """Why Triton cannot be started here; None if it can."""
    if TRITON_PYTHON.exists():
        return None
    return "no .venv-triton: `make test` makes it where nvidia-pytriton has a wheel for the machine"


@contextlib.contextmanager
def triton(folder: Path) -> Iterator[Serving]:
    """The real Triton that the package nvidia-pytriton carries, on the CPU."""
    models = write_repository(folder / "models")
    http, grpc = _free_ports(2)
    command = [
        *(str(TRITON_PYTHON), str(LAUNCH), str(folder)),
        f"--model-repository={models}",
        *("--http-address=127.0.0.1", f"--http-port={http}"),
        *("--grpc-address=127.0.0.1", f"--grpc-port={grpc}"),
        *("--allow-metrics=false", "--model-control-mode=explicit", "--exit-timeout-secs=5"),
        *(f"--load-model={model.name}" for model in MODELS),
    ]
    with _running(command, folder / "triton.log") as process:
        _wait(f"http://127.0.0.1:{http}/v2/health/ready", process, folder / "triton.log")
        yield Serving("triton", f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", "1")


@contextlib.contextmanager
def tidegate(folder: Path) -> Iterator[Serving]:
    """`tidegate serve` with the models as ONNX, and a registry that has one more."""
    from tests.conformance.onnx_models import write_models

    from tidegate.registry import Bundle, Registry

    paths = write_models(folder)
    (text,) = (path for path in paths if path.stem == "text")
    registry = folder / "registry"
    Registry(registry).publish(Bundle.build(SPARE, "1.0.0", model=text), alias="champion")

    address, grpc = folder / "address", folder / "grpc"
    command = [
        *(sys.executable, "-m", "tidegate.cli", "serve"),
        *(str(path) for path in paths),
        *("--registry", str(registry), "--port", "0", "--address-file", str(address)),
        *("--grpc-port", "0", "--grpc-address-file", str(grpc)),
    ]
    with _running(command, folder / "tidegate.log") as process:
        until = time.monotonic() + START
        while not (address.exists() and grpc.exists()):
            _check(process, folder / "tidegate.log", until)
        url = address.read_text().strip()
        yield Serving(
            "tidegate", url.removeprefix("http://"), grpc.read_text().strip(), ONNX_VERSION
        )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while True:
        _check(process, log, until)
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(url, timeout=5),
        ):
            return


def _check(process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    ended = process.poll() is not None
    assert not ended, f"the server ended: {log.read_text(errors='replace')[-4000:]}"
    assert time.monotonic() < until, f"not ready: {log.read_text(errors='replace')[-4000:]}"
    time.sleep(0.02)
