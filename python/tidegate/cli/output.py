"""What commands print: tables for people, JSON for programs, one sentence for an error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

__all__ = [
    "CONSOLE",
    "DIAGNOSTICS",
    "JsonOption",
    "RegistryOption",
    "emit",
    "fail",
    "say",
    "table",
]

CONSOLE: Final = Console(highlight=False, soft_wrap=True)
"""Results go here: standard output."""

DIAGNOSTICS: Final = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and errors go here: standard error, so that a pipe sees results only."""

JsonOption: Final = typer.Option("--json", help="Print JSON for programs instead of text.")
"""`--json`, the same in every command."""

RegistryOption: Final = typer.Option(
    "--registry",
    "-r",
    envvar="TIDEGATE_REGISTRY",
    help="Folder or object-store address of the registry.",
)
"""`--registry`, the same in every command that reads or writes one."""


def emit(value: object) -> None:
    """Writes one JSON document and a line end to standard output.

    Args:
        value: Anything that orjson takes, NumPy's arrays and scalars included; NaN becomes null.
    """
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2
    sys.stdout.write(orjson.dumps(value, option=options).decode())
    sys.stdout.flush()


def fail(error: Exception, *, as_json: bool = False) -> None:
    """Says what went wrong: one sentence on standard error, or JSON on standard output.

    Args:
        error: The error; its message is the sentence.
        as_json: Whether a program is reading.
    """
    if as_json:
        emit({"error": str(error), "kind": type(error).__name__})
    else:
        DIAGNOSTICS.print(f"error: {error}", style="red", markup=False)


def say(sentence: str) -> None:
    """Writes one line to standard error, from a process that goes on whether it is read or not.

    A full disk, or a log whose reader has gone, is no reason to stop serving.

    Args:
        sentence: The line.
    """
    # Not by rich, which ends the process when the reader has gone, and imports as it prints.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
) -> None:
    """Prints a table to standard output.

    Args:
        columns: The heads.
        rows: The cells, one sequence a row; they are printed with `str`.
        title: A line above the table.
        right: The columns to align at their right, such as numbers.
    """
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    CONSOLE.print(shown)
