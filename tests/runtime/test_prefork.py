"""A prefork server that nobody here wrote: gunicorn loads the application, then forks its workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tidegate.demo.tiny import tiny_table
from tidegate.registry import Bundle
from tidegate.runtime import Runtime

APPLICATION = """
import json, os
from tidegate.errors import TidegateError
from tidegate.runtime import Runtime

runtime = Runtime()
runtime.deploy({bundle!r})

def application(environ, start_response):
    row = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    try:
        status, answer = "200 OK", runtime.predict("tiny", row).value
    except TidegateError as error:
        status, answer = "500 Error", str(error)
    start_response(status, [("content-type", "application/json")])
    return [json.dumps({{"answer": answer, "pid": os.getpid()}}).encode()]
"""
ROWS = tiny_table(16, seed=5).select("x", "colour").to_dicts()


@contextmanager
def gunicorn(folder: Path, bundle: Bundle, *flags: str) -> Iterator[str]:
    (folder / "service.py").write_text(APPLICATION.format(bundle=os.fspath(bundle.path)))
    log = folder / "log"
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *flags, "service:application"], cwd=folder, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 60
        while (found := re.search(r"Listening at: (http://\S+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()


def ask(url: str, row: dict[str, object]) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(url, orjson.dumps(row))
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, orjson.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, orjson.loads(error.read())


def test_each_worker_loads_its_own(bundle: Bundle, tmp_path: Path) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        expected = [runtime.predict("tiny", row).value for row in ROWS]
    with gunicorn(tmp_path, bundle) as url:
        for row, value in zip(ROWS, expected, strict=True):
            status, found = ask(url, row)
            assert (status, found["answer"]) == (200, pytest.approx(value, abs=1e-6))


def test_what_was_loaded_before_the_fork_says_so(bundle: Bundle, tmp_path: Path) -> None:
    with gunicorn(tmp_path, bundle, "--preload") as url:
        for row in ROWS:
            status, found = ask(url, row)
            assert status == 500
            assert "fork" in str(found["answer"])
            assert "make a new one after forking" in str(found["answer"])
