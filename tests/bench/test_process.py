"""Servers under test end with everything that they have started, and count all of it."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from tidegate.bench.process import Daemon, free_port
from tidegate.errors import DeadlineError

SERVER = """
import http.server, subprocess, sys

port, pids = int(sys.argv[1]), sys.argv[2]
busy = "while True: pass"
# One stays in the session, one leaves it, as the processes of a cluster do.
children = [
    subprocess.Popen([sys.executable, "-c", busy]),
    subprocess.Popen([sys.executable, "-c", busy], start_new_session=True),
]
open(pids, "w").write(" ".join(str(child.pid) for child in children))

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", port), Ready).serve_forever()
"""


def start(tmp_path: Path, text: str) -> Daemon:
    script = tmp_path / "server.py"
    script.write_text(text)
    port = free_port()
    return Daemon(
        [sys.executable, str(script), str(port), str(tmp_path / "pids")],
        core=min(os.sched_getaffinity(0)),
        ready=f"http://127.0.0.1:{port}/",
        log=tmp_path / "log",
    )


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Nobody has read its status yet.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_server_ends_with_its_children(tmp_path: Path) -> None:
    with start(tmp_path, SERVER) as daemon:
        children = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(children) == 2
        # Only the children work, so what is counted is theirs.
        until = time.monotonic() + 60
        while daemon.usage().cpu_seconds < 0.5:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert daemon.memory_mb() > 5
        assert not any(gone(pid) for pid in children)
    until = time.monotonic() + 60
    while not all(gone(pid) for pid in children):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_server_may_be_ready_when_it_listens(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(
        "import socket, sys\n"
        "with socket.create_server(('127.0.0.1', int(sys.argv[1]))) as s:\n"
        "    while True: s.accept()\n"
    )
    port = free_port()
    with Daemon(
        [sys.executable, str(script), str(port)],
        core=min(os.sched_getaffinity(0)),
        ready=f"tcp://127.0.0.1:{port}",
        log=tmp_path / "log",
    ):
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)


def test_a_server_that_ends_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DeadlineError, match="no model here"):
        start(tmp_path, "raise SystemExit('no model here')")
