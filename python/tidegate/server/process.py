"""One serving process: the data plane's threads, the control plane's thread, and its end."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp

from tidegate import _core
from tidegate.errors import InputError, InternalError, StorageError
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.snapshots import SnapshotWriter
from tidegate.routing.orders import Orders
from tidegate.runtime import Runtime
from tidegate.server.control import control_app
from tidegate.server.exporter import Exporter
from tidegate.server.gate import Gate
from tidegate.server.settings import Settings
from tidegate.server.tracing import Tracing

__all__ = ["Server", "serve"]

LOG: Final = logging.getLogger("tidegate.server")

START_SECONDS: Final = 30.0
"""How long the control plane may take to listen."""

STOP_SECONDS: Final = 5.0
"""How long the control plane may take to end once the data plane has."""

CLOSE_SECONDS: Final = 5.0
"""How long models may take to end once requests were broken off."""

LONGEST_SOCKET_PATH: Final = 100
"""Paths of Unix sockets end at 108 bytes."""


class ControlPlane:
    """The Starlette app on uvloop, in a thread, on a Unix socket in a private folder."""

    def __init__(self, app: ASGIApp) -> None:
        # Nobody but this user may reach the socket: the folder is 0700.
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-"))
        if len(str(self._folder)) > LONGEST_SOCKET_PATH - len("/control.sock"):
            self._folder.rmdir()
            self._folder = Path(tempfile.mkdtemp(prefix="tidegate-", dir="/tmp"))
        self.path = self._folder / "control.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self.path))
        config = uvicorn.Config(
            app,
            loop="uvloop",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            # The data plane says who the client is, and it alone can reach the socket.
            proxy_headers=True,
            forwarded_allow_ips="*",
            timeout_graceful_shutdown=int(STOP_SECONDS),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="tidegate-control", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Starts the thread. Requests wait in the socket until the loop is up."""
        self._socket.listen()
        self._thread.start()

    def stop(self) -> None:
        """Ends the loop and removes the folder."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
            if self._thread.is_alive():
                # A handler blocks the loop; the thread is a daemon and ends with the process.
                self._server.force_exit = True
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Server:
    """A runtime behind a port for HTTP and one for gRPC, in this process.

    The data plane runs in threads of the core and needs no interpreter; pages, registry and model
    repository are answered by a Starlette app in a thread of Python. `with Server(runtime) as
    server:` drains at the end.

    Args:
        runtime: What is served. The server does not close it.
        settings: How; the defaults listen on `127.0.0.1:8080`, for gRPC on port 8081.
        gate: Who is let in, and the certificate; by default everybody, without TLS, on loopback.
        app: The control plane, an ASGI application that gets every request the data plane does
            not know; `control_app(runtime)` by default.
        tracing: Where spans of requests are sent; nowhere by default.
        watch: What looks at the rules of alerts, while the server runs; it is closed at the end.
        snapshots: What writes down what is watched, while the server runs; likewise.

    Raises:
        InputError: If the address cannot be listened on; the message says why.

    Example:
        >>> import urllib.request
        >>> from tidegate.runtime import Runtime
        >>> with Runtime() as runtime, Server(runtime, Settings(port=0)) as server:
        ...     urllib.request.urlopen(f"{server.url}/v2/health/ready").read()
        b'{"live":true,"ready":true}'
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings | None = None,
        *,
        gate: Gate | None = None,
        app: ASGIApp | None = None,
        tracing: Tracing | None = None,
        watch: Watch | None = None,
        snapshots: SnapshotWriter | None = None,
    ) -> None:
        self.settings: Final = settings or Settings()
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._ended = False
        encrypted = gate is not None and gate.certificate.core is not None
        self._scheme: Final = "https" if encrypted else "http"
        self._watch = watch
        if app is None:
            app = control_app(runtime, watch, snapshots, _orders(runtime))
        self._control = ControlPlane(app)
        self._snapshots = snapshots
        self._exporter = Exporter(tracing) if tracing is not None and tracing.endpoint else None
        try:
            self._core = _core.Server(
                runtime.core,
                address=self.settings.address,
                grpc_address=self.settings.grpc_address,
                workers=self.settings.workers,
                control_socket=str(self._control.path),
                echo=self.settings.echo,
                access_log=self.settings.access_log,
                limits=dict(self.settings.limits),
                access=None if gate is None else gate.core,
                tls=None if gate is None else gate.certificate.core,
                tracer=None if self._exporter is None else self._exporter.core,
            )
        except BaseException:
            self._release()
            raise
        self._control.start()
        if watch is not None:
            watch.start()
        if snapshots is not None:
            snapshots.start()

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._core.host

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        return self._core.port

    @property
    def url(self) -> str:
        """Where clients go: `http://host:port`, or `https` with TLS."""
        return f"{self._scheme}://{self._at(self.port)}"

    @property
    def grpc_address(self) -> str | None:
        """Where gRPC clients go: `host:port`; `None` without gRPC. With TLS it is encrypted too."""
        port = self._core.grpc_port
        return None if port is None else self._at(port)

    def _at(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{port}"

    @property
    def connections(self) -> int:
        """Open connections."""
        return self._core.connections

    def drain(self, grace: float | None = None) -> bool:
        """Refuse readiness, take no new connection, finish what is in flight, end.

        Args:
            grace: Seconds that requests in flight get; the settings' by default.

        Returns:
            Whether all of them finished.
        """
        self._core.begin_drain()
        self._stopping.wait(0 if self._ended else self.settings.drain_delay)
        finished = self._core.drain(self.settings.grace if grace is None else grace)
        self._end()
        return finished

    def stop(self) -> None:
        """End at once, also while another thread drains; requests in flight are broken off.

        Twice does no harm.
        """
        self._stopping.set()
        self._core.stop()
        self._end()

    def _end(self) -> None:
        with self._guard:
            ended, self._ended = self._ended, True
        if not ended:
            self._release()

    def _release(self) -> None:
        self._control.stop()
        if self._watch is not None:
            self._watch.close()
        if self._snapshots is not None:
            self._snapshots.close()
        if self._exporter is not None:
            self._exporter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.drain()
        else:
            self.stop()


def serve(
    runtime: Runtime,
    settings: Settings | None = None,
    *,
    gate: Gate | None = None,
    tracing: Tracing | None = None,
    watch: Watch | None = None,
    snapshots: SnapshotWriter | None = None,
    ready: Callable[[Server], None] | None = None,
    reload: Callable[[], None] | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT, then drain. Runs in the main thread.

    At the first signal readiness is refused, requests in flight finish within the settings' grace,
    and the call returns. At a second one they are broken off.

    Args:
        runtime: What is served; it is closed at the end.
        settings: How.
        gate: Who is let in, and the certificate.
        tracing: Where spans of requests are sent; nowhere by default.
        watch: What looks at the rules of alerts; nothing by default.
        snapshots: What writes down what is watched, for all replicas' report; nothing by default.
        ready: Called once with the server when it listens.
        reload: Called in this thread at each SIGHUP; what it raises is logged, and serving goes on.

    Returns:
        Whether all requests in flight finished.

    Raises:
        InputError: If the address cannot be listened on.
        InternalError: If it is not called in the main thread, where signals arrive.

    Example:
        >>> import os, signal
        >>> from tidegate.runtime import Runtime
        >>> serve(
        ...     Runtime(),
        ...     Settings(port=0),
        ...     ready=lambda server: os.kill(os.getpid(), signal.SIGTERM),
        ... )
        True
    """
    if threading.current_thread() is not threading.main_thread():
        raise InternalError("serve() handles signals: call it in the main thread, or use Server")
    asked = threading.Event()
    woken = threading.Event()
    server: Server | None = None
    finished = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        if asked.is_set() and server is not None:
            # The drain in the main thread returns when the workers have gone.
            threading.Thread(target=server.stop, daemon=True).start()
        asked.set()
        woken.set()

    def on_hangup(number: int, frame: FrameType | None) -> None:
        del number, frame
        woken.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    if reload is not None:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_hangup)
    try:
        server = Server(
            runtime, settings, gate=gate, tracing=tracing, watch=watch, snapshots=snapshots
        )
        if ready is not None:
            ready(server)
        while not asked.is_set():
            woken.wait()
            woken.clear()
            if reload is not None and not asked.is_set():
                _reloaded(reload)
        finished = _drained(server)
        return finished
    except BaseException:
        if server is not None:
            server.stop()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _close(runtime, None if finished else CLOSE_SECONDS)


def _orders(runtime: Runtime) -> Orders | None:
    """The commands of what is served; `None` where there is nowhere to keep revisions."""
    try:
        replica = runtime.replica
    except (InputError, StorageError):
        return None
    return Orders(replica.store, replica.control, woken=replica.wake)


def _close(runtime: Runtime, patience: float | None) -> None:
    """Closes it; for no longer than this, since nothing ends a model that hangs."""

    def close() -> None:
        with contextlib.suppress(Exception):
            runtime.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(patience)


def _reloaded(reload: Callable[[], None]) -> None:
    """Reloads; whatever is wrong with that is no reason to stop serving."""
    try:
        reload()
    except Exception as error:
        LOG.error("nothing is reloaded: %s", error)


def _drained(server: Server) -> bool:
    """Drains in a thread, so that a second signal is heard while it waits."""
    outcome: list[bool] = []
    thread = threading.Thread(target=lambda: outcome.append(server.drain()))
    thread.start()
    while thread.is_alive():
        # A join without a timeout would hold signals back until the drain ends.
        thread.join(0.2)
    return bool(outcome and outcome[0])
