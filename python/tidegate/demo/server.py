"""A server in a process of its own, started and stopped by the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tidegate.errors import NotReadyError

__all__ = ["ServerProcess"]

START_SECONDS: Final = 60.0
"""How long a server may take until it is ready: it replays its golden rows first."""

STOP_SECONDS: Final = 20.0
"""How long a server may take to drain."""

MONTH_OF_ROWS: Final = 1_000_000
"""More rows than any month has: the demo closes its windows itself, at the end of a month."""

QUALITY_SECONDS: Final = 0.5
"""A month is replayed in about this time: the report shows the course of quality over the replay."""


class ServerProcess:
    """`tidegate serve` as a child process.

    Args:
        reference: What to serve, such as `flight-delay@champion`.
        registry: The folder of the registry.
        port: The port; 0 picks a free one.
        log: Where the server's own words go.
    """

    def __init__(self, reference: str, registry: Path, *, port: int, log: Path) -> None:
        self._reference = reference
        self._registry = registry
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        """`host:port`, known once it has started."""

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Starts the server and waits until it is ready.

        Raises:
            NotReadyError: It ended, or was not ready in time; the message quotes its last words.
        """
        ready = self._log.with_suffix(".address")
        ready.unlink(missing_ok=True)
        command = [
            *(sys.executable, "-m", "tidegate.cli", "serve", self._reference),
            *("--registry", str(self._registry)),
            *("--host", "127.0.0.1", "--port", str(self._port), "--no-grpc"),
            *("--window-rows", str(MONTH_OF_ROWS)),
            *("--set", f"runtime.quality_seconds={QUALITY_SECONDS}"),
            *("--address-file", str(ready)),
        ]
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        with self._log.open("wb") as log:
            # A group of its own: Ctrl-C reaches the demo, which then stops the server in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise NotReadyError(f"the server ended before it was ready: {self._last_words()}")
            if ready.exists() and (address := ready.read_text().strip()):
                self.address = address.removeprefix("http://")
                if self._is_ready():
                    return
            time.sleep(0.05)
        self.stop()
        raise NotReadyError(
            f"the server was not ready after {START_SECONDS:.0f} s: {self._last_words()}"
        )

    def _is_ready(self) -> bool:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"http://{self.address}/v2/health/ready", timeout=1) as reply,
        ):
            return bool(reply.status == 200)
        return False

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """Asks the server to drain and waits for its end; kills it if it does not come."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def leave(self) -> int:
        """Lets the server run on after the demo, and returns its process."""
        process, self._process = self._process, None
        assert process is not None, "leave() follows start()"
        # It is somebody else's child from here on; a warning at exit would be noise.
        process.returncode = 0
        return process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
