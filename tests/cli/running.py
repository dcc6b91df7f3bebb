"""The program in this process: what it prints, and its status."""

from __future__ import annotations

import contextlib
import io
import sys
from unittest import mock

from tidegate.cli import main
from tidegate.cli.output import CONSOLE

WIDTH = 160
"""Columns of the terminal that commands see."""


def run(*arguments: object, status: int = 0) -> str:
    """Standard output and standard error of one command, which must end with this status."""
    said = io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["tidegate", *map(str, arguments)]),
        mock.patch.object(CONSOLE, "_width", WIDTH),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    assert code == status, said.getvalue()
    return said.getvalue()
