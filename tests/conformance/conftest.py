"""The servers under test and what each client found of them; both are started once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from tests.conformance.case import GRPC, Found, Tensor
from tests.conformance.servers import (
    ROOT,
    TRITON_PYTHON,
    Serving,
    tidegate,
    triton,
    why_no_triton,
)

collect_ignore_glob = ["drivers/*", "triton/*"]
"""They run in the environments of what they import."""

Find = Callable[[str, str], tuple[Serving, dict[str, Found]]]

KSERVE_PYTHON = ROOT / ".venv-kserve" / "bin" / "python"
TIMEOUT = 120
"""Seconds for all cases of one client."""


@pytest.fixture(scope="session")
def find(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Find]:
    """Gives the server and what a client found of it; a server is started once for all clients."""
    with ExitStack() as stack:

        @cache
        def start(server: str) -> Serving | AssertionError:
            folder = tmp_path_factory.mktemp(server)
            begin = {"tidegate": tidegate, "triton": triton}[server]
            try:
                return stack.enter_context(begin(folder))
            except AssertionError as error:
                return error

        @cache
        def ask(server: str, client: str) -> tuple[Serving, dict[str, Found] | str]:
            serving = start(server)
            if isinstance(serving, AssertionError):
                raise serving
            return serving, drive(client, serving)

        def find(server: str, client: str) -> tuple[Serving, dict[str, Found]]:
            serving, found = ask(server, client)
            # What failed once is not tried again for each case.
            assert not isinstance(found, str), found
            return serving, found

        yield find


def why_not(server: str, client: str) -> str | None:
    """Why a client cannot be run against a server here; None if it can."""
    missing = why_no_triton()
    if missing and "triton" in (server, client.removesuffix("_grpc")):
        return missing
    if client.startswith("kserve") and not KSERVE_PYTHON.exists():
        return "no .venv-kserve: `make test` makes it"
    return None


def drive(client: str, serving: Serving) -> dict[str, Found] | str:
    """Runs all cases with one client, in a process of its environment; or says why not."""
    python = {"kserve": str(KSERVE_PYTHON)}.get(client.partition("_")[0], sys.executable)
    if client == "triton_grpc":
        python = str(TRITON_PYTHON)
    address = (serving.grpc if client in GRPC else serving.http) or ""
    done = subprocess.run(
        [
            *(python, "-m", f"tests.conformance.drivers.{client}"),
            *(address, serving.name, serving.version),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # The package under test stays out of the clients' environments.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        return f"{client} failed: {done.stderr[-4000:]}"
    return {name: found_of(found) for name, found in json.loads(done.stdout).items()}


def found_of(written: dict[str, Any]) -> Found:
    outputs = [
        Tensor(o["name"], o["datatype"], tuple(o["shape"]), tuple(o["data"]))
        for o in written["outputs"]
    ]
    return Found(written["status"], written["message"], outputs, written["fields"])
