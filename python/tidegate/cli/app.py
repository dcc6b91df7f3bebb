"""The program `tidegate`: finds its commands, runs one, and turns an error into one sentence."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Final

import typer

from tidegate import __version__
from tidegate.cli.output import fail
from tidegate.errors import TidegateError

__all__ = ["COMMANDS", "build_app", "main"]

COMMANDS: Final = (
    "demo",
    "serve",
    "predict",
    "validate",
    "ingest",
    "publish",
    "registry",
    "check",
    "rollout",
    "rollback",
    "drift",
    "alerts",
    "incidents",
    "report",
    "log",
    "config",
    "keys",
    "bench",
)
"""The commands in the order of the help page; each is a file of this package."""

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells count it: 128 + SIGINT."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tidegate {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Serve machine-learning models: features, batching, monitoring and rollout in one runtime."""
    del version


def build_app() -> typer.Typer:
    """The typer application with every command of `COMMANDS`.

    Returns:
        The application; calling it parses `sys.argv`.
    """
    app = typer.Typer(
        name="tidegate",
        callback=_root,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"tidegate.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Runs the command that `sys.argv` names.

    The exit status is 0 when it worked, 1 after an error of tidegate's, 2 after a wrong option and
    130 after Ctrl-C.
    """
    try:
        build_app()()
    except TidegateError as error:
        fail(error, as_json="--json" in sys.argv[1:])
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
