"""A server in a process of its own: signals, drains, a blocked interpreter."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}


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
        until = time.monotonic() + 60
        while not address.exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield process, address.read_text().strip()
    finally:
        process.kill()
        process.communicate()


def test_sigterm_finishes_what_is_in_flight(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path) as (process, url):
        rows = {"instances": [{"x": i / 9, "colour": "red"} for i in range(200_000)]}
        replies: list[httpx.Response] = []

        def ask() -> None:
            replies.append(httpx.post(f"{url}/v1/models/tiny:predict", json=rows, timeout=60))

        thread = threading.Thread(target=ask)
        thread.start()
        text = ""
        while "tidegate_http_connections 2" not in text:
            text = httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert process.wait(30) == 0
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
            assert httpx.get(f"{url}/").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert not folder.exists()
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def test_readiness_is_refused_before_the_port_closes(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path, "--drain-delay", "3") as (process, url):
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 10
        while (status := httpx.get(f"{url}/v2/health/ready").status_code) == 200:
            assert time.monotonic() < until
        assert status == 503
        assert httpx.post(f"{url}/v1/models/tiny:predict", json=INSTANCES).status_code == 200
        assert process.wait(30) == 0


def test_a_second_signal_breaks_off(registry_folder: Path, tmp_path: Path) -> None:
    with serving(registry_folder, tmp_path, "--drain-delay", "60") as (process, _):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_blocked_interpreter_blocks_nobody_else(runtime: Runtime) -> None:
    """The loop of the control plane sleeps; inference, metrics and health go on."""
    limits = {"control_timeout": 0.5, "control_requests": 2}
    release = threading.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        release.wait()

    with Server(runtime, Settings(port=0, limits=limits), app=stuck) as server:
        blocked: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: blocked.append(
                    httpx.get(f"{server.url}/docs", timeout=30).status_code
                )
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        for _ in range(20):
            for path in ("/v2/health/live", "/v2/health/ready", "/metrics", "/v2/models/tiny"):
                assert httpx.get(f"{server.url}{path}").status_code == 200
            reply = httpx.post(f"{server.url}/v1/models/tiny:predict", json=INSTANCES)
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
        time.sleep(0.5)
        for _ in range(20):
            reply = httpx.post(f"{url}/v1/models/tiny:predict", json=INSTANCES, timeout=5)
            assert reply.status_code == 200
            assert httpx.get(f"{url}/metrics", timeout=5).status_code == 200
            assert httpx.get(f"{url}/v2/health/ready", timeout=5).status_code == 200
        assert httpx.get(f"{url}/docs", timeout=5).status_code == 503
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
    assert "unknown limit 'speed'" in done.stderr
