from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import typer

from tidegate.cli.app import COMMANDS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_command_has_its_file() -> None:
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"tidegate.cli.{name}"), name)
        assert isinstance(command, typer.Typer) or command.__doc__, name


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


def test_version() -> None:
    done = run("--version")
    assert done.stdout.split()[0] == "tidegate"


def test_an_error_is_one_sentence_and_no_trace(tmp_path: Path) -> None:
    done = run("predict", "flight-delay@champion", "--row", "[1]", "--registry", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: --row holds something else than objects")
    assert "Traceback" not in done.stderr


def test_an_error_for_programs(tmp_path: Path) -> None:
    done = run("predict", "m", "--row", "[1]", "--registry", str(tmp_path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["kind"] == "InputError"


def test_a_wrong_option_is_two() -> None:
    assert run("predict", "--no-such-option").returncode == 2


def test_no_server() -> None:
    done = run("drift", "m", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "tidegate serve" in done.stderr
