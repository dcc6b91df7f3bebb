"""A server in a process of its own: signals, drains, a blocked interpreter."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}

PATIENCE = 180.0
"""Seconds that a test waits for what must happen: only one that fails waits so long."""

get = partial(httpx.get, timeout=PATIENCE)
post = partial(httpx.post, timeout=PATIENCE)


def until(so: Callable[[], bool]) -> None:
    """Waits until it is so. A sleep would be a guess at how busy the machine is."""
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextlib.contextmanager
def serving(
    registry: Path, folder: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    address = folder / "address"
    command = [
        *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion"),
        *("--registry", str(registry), "--port", "0", "--address-file", str(address)),
        *options,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: address.exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield process, address.read_text().strip()
    finally:
        process.kill()
        process.communicate()


def test_sigterm_finishes_what_is_in_flight(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path, "--grace", "600") as (process, url):
        rows = {"instances": [{"x": i / 9, "colour": "red"} for i in range(200_000)]}
        replies: list[httpx.Response] = []

        def ask() -> None:
            replies.append(post(f"{url}/v1/models/tiny:predict", json=rows))

        thread = threading.Thread(target=ask)
        thread.start()
        # The first of its many batches has run.
        until(lambda: bool(re.search(r"_batch_rows_sum\S+ [1-9]", get(f"{url}/metrics").text)))
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert process.wait(PATIENCE) == 0
        assert replies[0].status_code == 200
        assert len(replies[0].json()["predictions"]) == 200_000
        assert not (tmp_path / "address").exists()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/v2/health/live")


def test_sigint_ends_it_too_and_the_folder_is_gone(registry_folder: Path, tmp_path: Path) -> None:
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(tmp_path)
    try:
        with serving(registry_folder, tmp_path) as (process, url):
            (folder,) = tmp_path.glob("tidegate-*")
            assert folder.stat().st_mode & 0o777 == 0o700
            assert get(f"{url}/").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert not folder.exists()
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def drains(url: str) -> bool:
    status = get(f"{url}/v2/health/ready").status_code
    assert status in (200, 503)
    return status == 503


def test_readiness_is_refused_before_the_port_closes(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path, "--drain-delay", "600") as (process, url):
        assert not drains(url)
        process.send_signal(signal.SIGTERM)
        until(lambda: drains(url))
        assert post(f"{url}/v1/models/tiny:predict", json=INSTANCES).status_code == 200
    (folder := tmp_path / "short").mkdir()
    with serving(registry_folder, folder, "--drain-delay", "0.5") as (process, _):
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - begun >= 0.5


def test_a_second_signal_breaks_off(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path, "--drain-delay", "600") as (process, url):
        process.send_signal(signal.SIGTERM)
        until(lambda: drains(url))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_a_blocked_interpreter_blocks_nobody_else(runtime: Runtime) -> None:
    """The loop of the control plane sleeps; inference, metrics and health go on."""
    limits = {"control_timeout": 0.5, "control_requests": 2}
    entered, release = threading.Event(), threading.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        entered.set()
        release.wait()

    with Server(runtime, Settings(port=0, limits=limits), app=stuck) as server:
        blocked: list[int] = []
        threads = [
            threading.Thread(target=lambda: blocked.append(get(f"{server.url}/docs").status_code))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        assert entered.wait(PATIENCE)
        for _ in range(20):
            for path in ("/v2/health/live", "/v2/health/ready", "/metrics", "/v2/models/tiny"):
                assert get(f"{server.url}{path}").status_code == 200
            reply = post(f"{server.url}/v1/models/tiny:predict", json=INSTANCES)
            assert reply.status_code == 200
        for thread in threads:
            thread.join()
        assert blocked == [503, 503]
        release.set()


def test_the_gil_held_for_long_blocks_nobody_else(registry_folder: Path) -> None:
    """A process whose only Python thread computes without letting go still answers."""
    code = (
        "import sys, re\n"
        "from tidegate.runtime import Runtime\n"
        "from tidegate.server import Server, Settings\n"
        "runtime = Runtime(sys.argv[1]); runtime.deploy('tiny@champion')\n"
        "server = Server(runtime, Settings(port=0, limits={'control_timeout': 0.5}))\n"
        "print(server.url, flush=True)\n"
        # One call into C that holds the interpreter for minutes.
        "re.match(r'(a+)+$', 'a' * 40 + 'b')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(registry_folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url
        until(lambda: get(f"{url}/docs").status_code == 503)
        for _ in range(20):
            reply = post(f"{url}/v1/models/tiny:predict", json=INSTANCES)
            assert reply.status_code == 200
            assert get(f"{url}/metrics").status_code == 200
            assert get(f"{url}/v2/health/ready").status_code == 200
        assert get(f"{url}/docs").status_code == 503
    finally:
        process.kill()
        process.communicate()


def test_port_in_use_on_the_command_line(server: Server, registry_folder: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion"),
            *("--registry", str(registry_folder), "--port", str(server.port)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "is in use by another process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_limit_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "serve", "--limit", "speed=1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "server.limits.speed: there is no such setting" in done.stderr
