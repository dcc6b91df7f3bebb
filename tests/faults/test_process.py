"""The process and its surroundings: signals, kills, reloads, the clock."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults.models import write_times
from tests.faults.serving import PATIENCE, Served, infer, serving

from tidegate.registry import Bundle, Registry

CLIENTS = 16


class Load:
    """Clients that ask without a pause, each for rows of its own, until they are told to stop."""

    def __init__(self, server: Served, model: str = "twice") -> None:
        self.stopping = threading.Event()
        self.answers: list[dict[str, Any]] = []
        self.wrong: list[object] = []
        self.broken: list[Exception] = []
        self._server, self._model = server, model
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(CLIENTS)]

    def _run(self, i: int) -> None:
        server = self._server
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
        with closing(connection):
            turn = 0
            while not self.stopping.is_set():
                value = float(1000 * i + turn % 1000)
                turn += 1
                try:
                    connection.request("POST", f"/v2/models/{self._model}/infer", infer([value]))
                    reply = connection.getresponse()
                except (http.client.RemoteDisconnected, ConnectionError) as error:
                    # Nothing of an answer came: the request was not taken.
                    self.broken.append(error)
                    return
                # From here on it was, and must be answered whole.
                body = json.loads(reply.read())
                factor = {"2.0.0": 3.0}.get(body.get("model_version"), 2.0)
                if reply.status != 200 or body["outputs"][0]["data"] != [factor * value]:
                    self.wrong.append((reply.status, body, value))
                self.answers.append(body)

    def wait_for(self, answers: int) -> None:
        """Until so many more have come."""
        due = len(self.answers) + answers
        self._server.until("answers come", lambda: len(self.answers) >= due or not self.is_alive())
        assert len(self.answers) >= due, (self.wrong, self.broken)

    def is_alive(self) -> bool:
        """Whether any client goes on."""
        return any(thread.is_alive() for thread in self._threads)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Begins, and ends with the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in self._threads:
                thread.join()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_times(tmp_path_factory.mktemp("model") / "twice.onnx", 2.0)


def test_sigterm_under_load(model: Path, tmp_path: Path) -> None:
    """What was taken is answered whole and right; what comes later is refused by the port."""
    with serving(tmp_path, model) as server:
        load = Load(server)
        with load.running():
            load.wait_for(500)
            server.process.terminate()
            end = time.monotonic() + PATIENCE
            while load.is_alive():
                assert time.monotonic() < end, "clients hang"
                time.sleep(0.02)
        assert server.process.wait(PATIENCE) == 0
        assert load.wrong == []
        assert len(load.broken) == CLIENTS
        with pytest.raises(ConnectionRefusedError):
            server.connect()


def test_kill_and_restart(model: Path, tmp_path: Path) -> None:
    """A killed server is started again on the same port at once, and answers rightly."""
    port = "0"
    for _ in range(2):
        with serving(tmp_path, model, "--port", port, "--grpc-port", "0") as server:
            port = str(server.port)
            assert server.is_right()
            load = Load(server)
            with load.running():
                load.wait_for(200)
                server.process.kill()
                server.process.wait()
            assert load.wrong == []


def test_reload_while_saturated(tmp_path: Path) -> None:
    """Each answer is whole and of one version; none is lost while versions change."""
    registry = Registry(tmp_path / "registry")
    for version, factor in (("1.0.0", 2.0), ("2.0.0", 3.0)):
        path = write_times(tmp_path / f"{version}.onnx", factor)
        registry.publish(Bundle.build("times", version, model=path))
    registry.alias("times", "champion", version="1.0.0")
    options = ("--registry", tmp_path / "registry")
    with serving(tmp_path, "times@champion", *options) as server:
        load = Load(server, "times")
        with load.running():
            for turn in range(10):
                registry.alias("times", "champion", version=("2.0.0", "1.0.0")[turn % 2])
                status, reply = server.ask("POST", "/v2/repository/models/times/load")
                assert status == 200, reply
                load.wait_for(100)
        assert load.wrong == []
        assert load.broken == []
        assert {answer["model_version"] for answer in load.answers} == {"1.0.0", "2.0.0"}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).parent / "clock.c"
    compiler = shutil.which("cc")
    assert compiler, "make test needs a C compiler anyway"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, timeout=120)
    return library


def test_the_clock_jumps(model: Path, clock: Path, tmp_path: Path) -> None:
    """Deadlines, connections and windows go by the steady clock; only dates follow the other."""
    moved = tmp_path / "moved"
    moved.write_text("0")
    environment = {"LD_PRELOAD": str(clock), "TIDEGATE_TEST_CLOCK": str(moved)}
    timed = infer([2.0])[:-1] + b',"parameters":{"timeout":20000000}}'
    with serving(tmp_path, model, environment=environment) as server:
        load = Load(server)
        with load.running():
            for jump in (86_400, -86_400, 10 * 365 * 86_400, 0):
                moved.write_text(str(jump))
                load.wait_for(100)
                assert abs(_now(server) - time.time() - jump) < 600, "the clock did not move"
                status, reply = server.ask("POST", "/v2/models/twice/infer", timed)
                assert (status, reply["outputs"][0]["data"]) == (200, [4.0])
                assert server.ask("GET", "/metrics")[0] == 200
                assert server.ask("GET", "/v2/health/ready")[0] == 200
        assert load.wrong == []
        assert load.broken == []


def _now(server: Served) -> float:
    """What the server takes for now: when it says that it last answered."""
    _, reply = server.ask("GET", "/v2/models/twice/stats")
    return float(reply["model_stats"][0]["last_inference"]) / 1000
