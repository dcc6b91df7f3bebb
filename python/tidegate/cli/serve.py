"""`tidegate serve`: models behind one HTTP port."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import DIAGNOSTICS, JsonOption, RegistryOption, emit

__all__ = ["serve"]


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to serve: NAME@VERSION, NAME@ALIAS, a bundle's folder or an .onnx file.",
            metavar="MODEL...",
        ),
    ] = None,
    registry: Annotated[str | None, RegistryOption] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is a free one.")] = 8080,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads of the data plane.")] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that requests in flight get after SIGTERM.")
    ] = 30.0,
    drain_delay: Annotated[
        float, typer.Option(min=0, help="Seconds between refusing readiness and closing the port.")
    ] = 0.0,
    watch: Annotated[bool, typer.Option(help="Watch features and predictions.")] = True,
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
    echo: Annotated[bool, typer.Option("--echo", help="Answer /v2/echo, for benchmarks.")] = False,
    address_file: Annotated[
        Path | None, typer.Option(help="Write the server's address here once it listens.")
    ] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Serve models over HTTP until SIGTERM or Ctrl-C; requests in flight are finished then."""
    from tidegate.runtime import Options, Runtime
    from tidegate.server import Server, Settings
    from tidegate.server import serve as serve_until_signal

    settings = Settings(
        host=host,
        port=port,
        workers=workers,
        grace=grace,
        drain_delay=drain_delay,
        echo=echo,
        limits=_limits(limit or []),
    )
    options = Options(watch=watch, window_rows=window_rows, window_seconds=window_seconds)
    runtime = Runtime(_registry(registry), options)
    try:
        served = [runtime.deploy(model) for model in models or []]
    except BaseException:
        runtime.close()
        raise

    def ready(server: Server) -> None:
        if address_file is not None:
            _write(address_file, server.url)
        if as_json:
            names = [{"name": d.name, "version": d.version, "digest": d.digest} for d in served]
            emit({"url": server.url, "pid": os.getpid(), "models": names})
            return
        for deployment in served:
            DIAGNOSTICS.print(f"serving {deployment.name} {deployment.version}", markup=False)
        DIAGNOSTICS.print(f"listening on {server.url} (routes at {server.url}/docs)", markup=False)

    try:
        finished = serve_until_signal(runtime, settings, ready=ready)
    finally:
        if address_file is not None:
            address_file.unlink(missing_ok=True)
    if not finished:
        DIAGNOSTICS.print(f"requests were broken off after {grace:g} s", markup=False)
        # A model that hangs would be waited for until the end of days.
        os._exit(0)


def _registry(location: str | None) -> str | None:
    """The registry, where one is named or the usual folder exists."""
    if location is not None:
        return location
    return "./registry" if Path("registry").is_dir() else None


def _limits(pairs: list[str]) -> dict[str, float]:
    from tidegate.errors import ConfigurationError

    limits = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            raise ConfigurationError(
                f"--limit {pair}: give it as NAME=NUMBER, such as body_bytes=1000000"
            ) from None
    return limits


def _write(path: Path, text: str) -> None:
    """Writes a file so that a reader sees all of it or none."""
    folder = path.parent
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(f"{text}\n")
    Path(file.name).replace(path)
