"""`tidegate serve`: models behind a port for HTTP and one for gRPC."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tidegate.cli.config import ConfigOption, SetOption
from tidegate.cli.output import JsonOption, RegistryOption, emit, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.configuration import Configuration
    from tidegate.monitoring.alerts.watch import Watch
    from tidegate.runtime import Deployment, Runtime
    from tidegate.server import Server

__all__ = ["serve"]

SECRET: Final = frozenset({"alerts.channels", "alerts.rules", "tracing.headers"})
"""Settings that are never written out."""

MOST_CHARACTERS: Final = 200


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to serve: NAME@VERSION, NAME@ALIAS, a bundle's folder or an .onnx file.",
            metavar="MODEL...",
        ),
    ] = None,
    registry: Annotated[str | None, RegistryOption] = None,
    config: Annotated[Path | None, ConfigOption] = None,
    set_: Annotated[list[str] | None, SetOption] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all. [127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 is a free one. [8080]")
    ] = None,
    grpc: Annotated[
        bool | None, typer.Option("--grpc/--no-grpc", help="Serve gRPC as well. [yes]")
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port for gRPC: by default the one after --port, a free one where that is 0.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads of the data plane.")] = None,
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that requests in flight get after SIGTERM. [30]"),
    ] = None,
    drain_delay: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds between refusing readiness and closing the port. [0]"),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="The time within which 99 of 100 requests are to be answered.", metavar="20ms"
        ),
    ] = None,
    watch: Annotated[
        bool | None, typer.Option("--watch/--no-watch", help="Watch features and predictions.")
    ] = None,
    window_rows: Annotated[
        int | None, typer.Option(min=1, help="A window of watched rows closes after so many.")
    ] = None,
    window_seconds: Annotated[
        float | None, typer.Option(min=0.001, help="A window of watched rows closes after so long.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="A bound on clients, such as body_bytes=1000000.", metavar="NAME=VALUE"),
    ] = None,
    access_log: Annotated[
        str | None,
        typer.Option(help="A file for one JSON line a request; - is standard output."),
    ] = None,
    trace_endpoint: Annotated[
        str | None,
        typer.Option(
            help="The OpenTelemetry collector for spans of requests.", metavar="http://HOST:4318"
        ),
    ] = None,
    trace_ratio: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The share of requests that are traced, where callers say nothing."
        ),
    ] = None,
    echo: Annotated[
        bool | None, typer.Option("--echo", help="Answer /v2/echo, for benchmarks.")
    ] = None,
    allow_anonymous: Annotated[
        bool | None,
        typer.Option(
            "--allow-anonymous",
            help="Let everybody in also where other machines can reach the address.",
        ),
    ] = None,
    address_file: Annotated[
        Path | None, typer.Option(help="Write the server's address here once it listens.")
    ] = None,
    grpc_address_file: Annotated[
        Path | None, typer.Option(help="Write the address for gRPC here once it listens.")
    ] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Serve models over HTTP and gRPC until SIGTERM or Ctrl-C; requests in flight finish then.

    Settings come from tidegate.toml, the environment and these options; the later one wins. SIGHUP
    reads them again: access, rates and certificate change, and aliases are looked up anew.
    """
    from tidegate.cli.settings import options, pairs
    from tidegate.monitoring import Watching
    from tidegate.monitoring.log import Log
    from tidegate.routing.incident import opened
    from tidegate.routing.settings import Follow
    from tidegate.runtime import Options, Runtime
    from tidegate.server import (
        Access,
        Deploy,
        Gate,
        Rates,
        Replicas,
        Settings,
        Tls,
        Tracing,
        configured,
    )
    from tidegate.server import serve as serve_until_signal
    from tidegate.server.configuration import fixed_changes

    flags = [
        *options(
            {
                "MODEL": ("deploy.models", models or None),
                "--registry or TIDEGATE_REGISTRY": ("deploy.registry", registry),
                "--host": ("server.host", host),
                "--port": ("server.port", port),
                "--grpc or --no-grpc": ("server.grpc", grpc),
                "--grpc-port": ("server.grpc_port", grpc_port),
                "--workers": ("server.workers", workers),
                "--grace": ("server.grace", grace),
                "--drain-delay": ("server.drain_delay", drain_delay),
                "--echo": ("server.echo", echo),
                "--access-log": ("server.access_log", access_log),
                "--trace-endpoint": ("tracing.endpoint", trace_endpoint),
                "--trace-ratio": ("tracing.ratio", trace_ratio),
                "--allow-anonymous": ("access.allow_anonymous", allow_anonymous),
                "--objective": ("runtime.objective", objective),
                "--watch": ("runtime.watch", watch),
                "--window-rows": ("watching.rows", window_rows),
                "--window-seconds": ("watching.seconds", window_seconds),
            }
        ),
        *pairs(limit or [], "--limit", "server.limits."),
        *pairs(set_ or [], "--set"),
    ]

    def read() -> Configuration:
        return configured(config, environment=os.environ, flags=flags)

    found = read()
    settings, deploy = found.section(Settings), found.section(Deploy)
    tracing = found.section(Tracing).completed(os.environ)
    gate = Gate(found.section(Access), found.section(Rates), found.section(Tls))
    runtime = Runtime(
        _registry(deploy.registry),
        found.section(Options),
        found.section(Watching),
        log=found.section(Log),
        follow=found.section(Follow),
    )
    try:
        served = [_served(runtime, model) for model in deploy.models]
        snapshots = found.section(Replicas).writer(runtime)
        watcher = _watcher(found, runtime)
        if watcher is not None and runtime.following:
            runtime.replica.told = partial(opened, watcher)
    except BaseException:
        runtime.close()
        gate.close()
        raise

    def ready(server: Server) -> None:
        if as_json:
            names = [{"name": d.name, "version": d.version, "digest": d.digest} for d in served]
            emit(
                {
                    "url": server.url,
                    "grpc": server.grpc_address,
                    "pid": os.getpid(),
                    "models": names,
                }
            )
        else:
            _announce(server, served, runtime)
        # Last: who waits for the files finds a server that has said all it had to say.
        if grpc_address_file is not None and server.grpc_address is not None:
            _write(grpc_address_file, server.grpc_address)
        if address_file is not None:
            _write(address_file, server.url)

    def reload() -> None:
        now = read()
        gate.reload(now.section(Access), now.section(Rates), now.section(Tls))
        for change in fixed_changes(found, now):
            say(f"{change} takes a restart to change")
        for deployment in runtime.refresh():
            say(f"serving {deployment.name} {deployment.version}")
        say("reloaded")

    try:
        finished = serve_until_signal(
            runtime,
            settings,
            gate=gate,
            tracing=tracing,
            watch=watcher,
            snapshots=snapshots,
            ready=ready,
            reload=reload,
        )
    finally:
        gate.close()
        for file in (address_file, grpc_address_file):
            if file is not None:
                file.unlink(missing_ok=True)
    if not finished:
        say(f"requests were broken off after {settings.grace:g} s")
        # A model that hangs would be waited for until the end of days.
        os._exit(0)


def _served(runtime: Runtime, model: str) -> Deployment:
    """Serves a model: by its revisions where it has some, or may have some later."""
    from tidegate.errors import StorageError

    if runtime.registry is None or Path(model).suffix == ".onnx" or Path(model).is_dir():
        return runtime.deploy(model)
    try:
        return runtime.follow(model)
    except StorageError:
        # Nothing here can be written to, so that there are no revisions either.
        return runtime.deploy(model)


def _announce(server: Server, served: Sequence[Deployment], runtime: Runtime) -> None:
    """Says what is served, and where."""
    for deployment in served:
        say(f"serving {deployment.name} {deployment.version}")
    for state in runtime.following:
        if state.live:
            say(f"{state.deployment} follows its revisions, now {state.live}")
    say(f"listening on {server.url} (routes at {server.url}/docs)")
    if server.grpc_address is not None:
        say(f"listening for gRPC on {server.grpc_address}")


def _watcher(found: Configuration, runtime: Runtime) -> Watch | None:
    """What looks at the rules, where there are some, and opens incidents of rollouts."""
    from tidegate.errors import StateError
    from tidegate.monitoring.alerts import Alerts
    from tidegate.monitoring.alerts.watch import FOLDER, Watch
    from tidegate.server import Settings
    from tidegate.server.failing import AccessLogTail
    from tidegate.storage import PartStore

    alerts, log = found.section(Alerts), found.section(Settings).access_log
    if not alerts.rules and not runtime.following:
        return None
    failing = None if log in (None, "-") else AccessLogTail(log)
    replica = runtime.replica if runtime.following else None
    try:
        return Watch(
            alerts,
            runtime,
            effective=_effective(found),
            failing=failing,
            revised=None if replica is None else replica.changes,
            # Beside the revisions, which all replicas share.
            store=None if replica is None else PartStore(replica.store, FOLDER),
        )
    except StateError as error:
        if alerts.rules:
            raise
        # Nobody has asked for it: what is served does not depend on it.
        say(f"no incident is opened for rollouts: {error}")
        return None


def _effective(found: Configuration) -> dict[str, str]:
    """All settings as texts; what may be secret as a digest, which still says that it changed."""
    plain = {}
    for setting in found.settings():
        text = str(setting.value)
        if setting.name in SECRET:
            text = f"digest {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        plain[setting.name] = text[:MOST_CHARACTERS]
    return plain


def _registry(location: str | None) -> str | None:
    """The registry, where one is named or the usual folder exists."""
    if location is not None:
        return location
    return "./registry" if Path("registry").is_dir() else None


def _write(path: Path, text: str) -> None:
    """Writes a file so that a reader sees all of it or none."""
    folder = path.parent
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(f"{text}\n")
    Path(file.name).replace(path)
