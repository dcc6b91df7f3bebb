"""How long a rollback takes until the first right answer, while requests come at a fixed rate.

    python benches/python/rollback.py

Three servers follow one deployment in a folder with the settings they have by default. A rollback is
asked of one of them; a client of each asks for predictions without a pause and notes the first answer
by the new revision. Says seconds of each round for the one that took the command and for the others,
and what became of the load.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tidegate.bench.load import Load, run_load
from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry

RATE: Final = 1_000.0
ROUNDS: Final = 5
SETTLING: Final = 1.5
PATIENCE: Final = 60.0
PATH: Final = "/v1/models/tiny:predict"
BODIES: Final = [
    json.dumps({"instances": [{"x": index / 100, "colour": "red"}]}).encode()
    for index in range(1_000)
]


class Served:
    """A server, and the client that never stops asking it."""

    def __init__(self, folder: Path, name: str) -> None:
        address = folder / name
        command = [
            *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion", "--port", "0"),
            *("--registry", str(folder / "registry"), "--no-grpc"),
            *("--address-file", str(address), "--set", f"routing.replica={name}"),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(address.exists)
        self.address = address.read_text().strip().removeprefix("http://")
        self.seen: list[tuple[float, int]] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        while not self.stop.wait(0.002):
            connection.request("POST", PATH, BODIES[0])
            reply = json.loads(connection.getresponse().read())
            if not self.seen or self.seen[-1][1] != reply["revision"]:
                self.seen.append((time.monotonic(), reply["revision"]))

    def first(self, revision: int) -> float | None:
        """When it was first answered by a revision."""
        return next((at for at, number in self.seen if number >= revision), None)

    def post(self, path: str, body: dict[str, Any]) -> int:
        """A command; the number of the revision that it appended."""
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request("POST", f"/v1/deployments/tiny/{path}", json.dumps(body).encode())
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return int(json.loads(text)["revision"])


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def measured(folder: Path) -> dict[str, Any]:
    registry = Registry(folder / "registry")
    for version in ("1.1.0", "1.0.0"):
        registry.publish(tiny_bundle(version=version), alias="champion")
    servers = [Served(folder, name) for name in ("a", "b", "c")]
    loads: list[dict[str, Any]] = []
    seconds = ROUNDS * (2 * SETTLING + 4.0)

    def load(server: Served) -> None:
        plan = Load(
            address=server.address,
            path=PATH,
            rate=RATE / len(servers),
            seconds=seconds,
            connections=16,
        )
        loads.append(run_load(plan, BODIES))

    threads = [threading.Thread(target=load, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    taken, others = [], []
    plan = {"plan": {"candidate": "1.1.0"}, "skip_check": "measured"}
    for _ in range(ROUNDS):
        servers[0].post("rollout/start", plan)
        promoted = servers[0].post("rollout/promote", {"reason": "measured"})
        until(lambda: all(server.first(promoted) for server in servers))  # noqa: B023
        time.sleep(SETTLING)
        began = time.monotonic()
        undone = servers[0].post("rollback", {"reason": "measured"})
        until(lambda: all(server.first(undone) for server in servers))  # noqa: B023
        times = [(server.first(undone) or 0.0) - began for server in servers]
        taken.append(times[0])
        others += times[1:]
        time.sleep(SETTLING)
    for thread in threads:
        thread.join()
    for server in servers:
        server.stop.set()
        server.thread.join()
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
    return {
        "taken_seconds": [round(each, 3) for each in sorted(taken)],
        "others_seconds": [round(each, 3) for each in sorted(others)],
        "requests": sum(load["requests"] for load in loads),
        "rate": round(sum(load["rate"] for load in loads), 1),
        "errors": [load["errors"] for load in loads],
        "p99_us": [load["latency_us"]["p99"] for load in loads],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measured(Path(place)), indent=2))
