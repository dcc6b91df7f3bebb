"""The load generator from Python, against a small server in this process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tidegate.bench.load import Client, Load, read_cases, run_load, write_cases
from tidegate.bench.process import Worker, free_port
from tidegate.errors import BackendError, InputError

ASKED = itertools.count()


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        away = {"/missing": 404, "/busy": 503}.get(self.path)
        usual = int(self.headers.get("X-Status", 200))
        self.send_response(away if away and next(ASKED) % 10 < 9 else usual)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def load(address: str, path: str = "/", **more: float) -> Load:
    """Ends by a number of right answers: by the clock, a machine that stalls would give none."""
    plan = {"seconds": 3600.0, "warmup_seconds": 0.0, "timeout_seconds": 60.0, "connections": 2}
    return Load(address=address, path=path, **{**plan, **more})  # type: ignore[arg-type]


BODIES = [b'{"data":[%d]}' % i for i in range(100)]


def test_right_answers_are_counted(address: str) -> None:
    expected = [[float(i)] for i in range(100)]
    report = run_load(load(address, requests=50), BODIES, expected=expected)
    assert report["requests"] == 50
    assert sum(report["errors"].values()) == 0, report
    assert report["latency_us"]["p50"] <= report["latency_us"]["p99"]


def test_wrong_answers_are_not(address: str) -> None:
    # One of a hundred is right.
    expected = [[float(i) if i == 7 else i + 1.0] for i in range(100)]
    report = run_load(load(address, requests=2), BODIES, expected=expected)
    assert report["requests"] == 2
    assert report["errors"]["mismatch"] > 2
    texts = [body if i == 7 else b"no" for i, body in enumerate(BODIES)]
    report = run_load(load(address, requests=2), BODIES, expected=texts)
    assert report["errors"]["mismatch"] > 2


def test_another_status_is_not_an_answer(address: str) -> None:
    # Every tenth is found.
    report = run_load(load(address, "/missing", requests=2, connections=1), BODIES)
    assert (report["requests"], report["errors"]["status"]) == (2, 18)
    assert sum(report["errors"].values()) == 18, report


def test_refusals_are_counted_apart(address: str) -> None:
    # Every tenth is served.
    plan = load(address, "/busy", requests=2, connections=1, within_seconds=3600.0)
    report = run_load(plan, BODIES)
    assert (report["requests"], report["within"]) == (2, 2)
    assert 9 <= report["refused"] <= 18
    assert sum(report["errors"].values()) == 0, report


def test_what_finds_no_connection_is_given_up(address: str) -> None:
    plan = load(address, rate=100_000.0, seconds=0.2, connections=1)
    report = run_load(replace(plan, late="drop"), BODIES)
    assert report["dropped"] > report["requests"] > 0


def test_headers_go_out_and_numbers_come_back_in_binary(address: str) -> None:
    bodies = [b"{}" + np.array([i, 1 / 3], dtype="<f4").tobytes() for i in range(100)]
    plan = replace(load(address, requests=50), form="fp32", headers=[("X-Status", "200")])
    report = run_load(plan, bodies, expected=[[float(i), 1 / 3] for i in range(100)])
    assert sum(report["errors"].values()) == 0, report
    refusing = replace(plan, headers=[("X-Status", "500")], requests=None, seconds=0.2)
    report = run_load(refusing, bodies)
    assert report["requests"] == 0
    assert report["errors"]["status"] > 0


def test_an_open_loop_takes_its_rate(address: str) -> None:
    begun = time.monotonic()
    report = run_load(load(address, rate=100.0, seconds=0.2), BODIES)
    assert 0 < report["requests"] < 60
    assert time.monotonic() - begun > 0.1


def test_wrong_plans_are_named(address: str) -> None:
    with pytest.raises(InputError, match="connections"):
        run_load(Load(address=address, connections=0), BODIES)
    with pytest.raises(InputError, match="one for each"):
        run_load(load(address), BODIES, expected=[[1.0]])
    with pytest.raises(InputError, match="no body"):
        run_load(load(address), [])
    with pytest.raises(BackendError, match="cannot connect"):
        run_load(load(f"127.0.0.1:{free_port()}"), BODIES)


def test_cases_survive_their_file(tmp_path: Path, address: str) -> None:
    path = tmp_path / "cases.json"
    write_cases(path, BODIES, [[float(i)] for i in range(100)])
    assert read_cases(path) == (BODIES, [[float(i)] for i in range(100)])
    plan = {"address": address, "requests": 20, "seconds": 3600.0, "timeout_seconds": 60.0}
    report = Client().run(plan, str(path))
    assert sum(report["errors"].values()) == 0


def test_a_worker_makes_load_in_its_own_process(tmp_path: Path, address: str) -> None:
    path = tmp_path / "cases.json"
    write_cases(path, BODIES, [[float(i)] for i in range(100)])
    plan = {"address": address, "requests": 20, "seconds": 3600.0, "timeout_seconds": 60.0}
    with Worker("load", None) as worker:
        report = worker.call("run", load=plan, cases=str(path))
        assert report["requests"] == 20
        assert worker.usage().peak_rss_mb > 1
        with pytest.raises(BackendError, match="nowhere"):
            worker.call("run", load=plan, cases=str(tmp_path / "nowhere"))
        # An error does not end it.
        assert worker.call("run", load=plan, cases=str(path))["requests"] == 20
