"""The command line: one file a command.

A file `name.py` here holds one command: a function `name` with typer's annotations, or, for a
command with commands of its own, a `typer.Typer` called `name`. It is listed in `COMMANDS` in
`tidegate.cli.app`. Heavy imports stand inside of the function, so that `tidegate --help` is quick.
"""

from tidegate.cli.app import main

__all__ = ["main"]
