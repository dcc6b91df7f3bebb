"""`tidegate serve` in a process of its own, and what the faults do to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ["PATIENCE", "Served", "infer", "request", "serving"]

PATIENCE = 30.0
"""Seconds for anything that must happen at all, on a machine that does other work."""


@dataclass(frozen=True)
class Served:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    host: str
    port: int

    def connect(self) -> socket.socket:
        """A socket to it."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        """One request on a connection of its own: status, and the body as JSON or text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body or None)
            return read(connection.getresponse())

    def infer(self, model: str, *values: float, **more: Any) -> tuple[int, Any]:
        """Asks a model for some rows."""
        return self.ask("POST", f"/v2/models/{model}/infer", infer(values, **more))

    def is_right(self) -> bool:
        """Whether the model `twice` answers as it should."""
        status, reply = self.infer("twice", 1.5, -2.0)
        return status == 200 and reply["outputs"][0]["data"] == [3.0, -4.0]

    def metric(self, name: str) -> float:
        """One line of the metrics page, by its beginning."""
        _, text = self.ask("GET", "/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name))
        return sum(float(value) for _, _, value in lines)

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Waits for something that must come."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < end, what
            time.sleep(0.02)


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    files: int | None = None,
) -> Iterator[Served]:
    """Starts it with these models and options; `files` is its limit on open files."""
    address, log = folder / "address", folder / "log"
    address.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "tidegate.cli", "serve", *map(str, arguments)),
        *("--address-file", str(address)),
    ]
    if "--port" not in arguments:
        command += ["--port", "0"]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
    with log.open("ab") as out:
        settings = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=settings)
    try:
        end = time.monotonic() + 2 * PATIENCE
        while not address.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        host, _, port = address.read_text().strip().removeprefix("http://").partition(":")
        yield Served(process, host, int(port))
    finally:
        process.kill()
        process.wait()


def infer(values: Any, *, name: str = "x", datatype: str = "FP32", flat: bool = False) -> bytes:
    """The body of a request for some rows of one column."""
    shape = [len(values)] if flat else [len(values), 1]
    tensor = {"name": name, "datatype": datatype, "shape": shape, "data": values}
    return json.dumps({"inputs": [tensor]}).encode()


def request(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    return f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def read(reply: http.client.HTTPResponse) -> tuple[int, Any]:
    """Status and body of an answer."""
    text = reply.read()
    is_json = reply.headers.get("content-type") == "application/json"
    return reply.status, json.loads(text) if is_json else text.decode()


def reset(connection: socket.socket) -> None:
    """Ends a connection as a client that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
