"""Three servers on one object store, under load: nobody fails, and all agree.

A rollout moves on while whoever decides is killed and while the store is cut off; then it is rolled
back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry
from tidegate.routing.catalogue import RegistryCatalogue
from tidegate.routing.control import Control
from tidegate.routing.toml import plan_of
from tidegate.storage import open_store

PATIENCE = 180.0
BODY = {"instances": [{"x": 1.0, "colour": "red"}]}
STEPS = [{"percent": percent, "min_requests": 0, "min_seconds": 0} for percent in range(2, 100, 2)]
PLAN: dict[str, Any] = {
    "deployment": "tiny",
    "candidate": "1.1.0",
    "gates": [],
    "strategy": {"kind": "canary", "steps": STEPS},
}


class ObjectStore:
    """An S3-compatible server that can be cut off and comes back with everything in it."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._port = 0
        self._start()
        request = urllib.request.Request(f"{self.endpoint}/models", method="PUT")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200

    def _start(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        host, self._port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{self._port}"

    def cut(self) -> None:
        self._server.stop()

    def mend(self) -> None:
        self._start()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


@dataclass
class Asked:
    """What a client has seen: when, revision and version of each answer, and what failed."""

    answers: list[tuple[float, int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Replica:
    """A server process, and a client that never stops asking it."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name, self.asked = name, Asked()
        address = folder / f"{name}.address"
        self.log = folder / f"{name}.log"
        command = [
            *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion"),
            *("--registry", "s3://models/registry", "--port", "0", "--no-grpc"),
            *("--address-file", str(address), "--set", f"routing.replica={name}"),
            *("--set", "routing.lease=3", "--set", "routing.samples=0.3"),
        ]
        home = {"XDG_CACHE_HOME": str(folder / f"{name}.cache")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment, **home}, stdout=log, stderr=log
            )
        until("a server listens", lambda: address.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        self.url = address.read_text().strip()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    reply = client.post(f"{self.url}/v1/models/tiny:predict", json=BODY)
                    reply.raise_for_status()
                except httpx.HTTPError as error:
                    if not self._stop.is_set():
                        self.asked.failures.append(repr(error))
                    return
                found = reply.json()
                answer = (time.monotonic(), found["revision"], found["model_version"])
                self.asked.answers.append(answer)
                self._stop.wait(0.005)

    @property
    def state(self) -> dict[str, Any]:
        """How it says that it stands."""
        reply = httpx.get(f"{self.url}/v1/deployments", timeout=PATIENCE)
        state: dict[str, Any] = reply.json()["deployments"][0]["following"]
        return state

    def first(self, revision: int) -> float | None:
        """When a client was first answered by a revision, or a later one."""
        return next((at for at, number, _ in self.asked.answers if number >= revision), None)

    def kill(self) -> None:
        self._stop.set()
        self.process.kill()
        self.process.wait()
        self._thread.join()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.log.read_text()


def until(what: str, is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@contextlib.contextmanager
def three(folder: Path) -> Iterator[tuple[ObjectStore, list[Replica], Control]]:
    objects = ObjectStore()
    before = dict(os.environ)
    os.environ.update(objects.environment)
    replicas: list[Replica] = []
    try:
        registry = Registry("s3://models/registry", cache=folder / "cache")
        for version in ("1.0.0", "1.1.0"):
            registry.publish(tiny_bundle(version=version))
        registry.alias("tiny", "champion", version="1.0.0")
        replicas.extend(Replica(name, folder, objects.environment) for name in "abc")
        store = open_store("s3://models/registry", read_only=True)
        yield objects, replicas, Control(store, "tiny", RegistryCatalogue(registry))
    finally:
        for replica in replicas:
            replica.kill()
        objects.cut()
        os.environ.clear()
        os.environ.update(before)


def test_nobody_fails_and_all_agree(tmp_path: Path) -> None:
    with three(tmp_path) as (objects, replicas, control):
        control.start(plan_of(PLAN), actor="ann", reason="new")

        # Whoever decides is killed in the middle.
        def leader() -> Replica | None:
            return next((replica for replica in replicas if replica.state["leads"]), None)

        until("somebody decides", leader)
        killed = leader()
        assert killed is not None
        killed.kill()
        replicas.remove(killed)
        until("another decides", leader)
        survivors = list(replicas)

        # The store is cut off: everybody serves on, says so, and changes nothing.
        objects.cut()
        until("all say so", lambda: all(replica.state["fault"] for replica in survivors))
        live = [replica.state["live"] for replica in survivors]
        counts = [len(replica.asked.answers) for replica in survivors]
        until(
            "all serve on",
            lambda: all(
                len(replica.asked.answers) > count + 20
                for replica, count in zip(survivors, counts, strict=True)
            ),
        )
        assert [replica.state["live"] for replica in survivors] == live
        objects.mend()
        until("all hear again", lambda: not any(replica.state["fault"] for replica in survivors))

        def is_promoted() -> bool:
            newest = control.newest()
            return newest is not None and newest.event == "promote"

        until("the rollout ends", is_promoted)
        undone = control.undo(actor="ann", reason="slow")
        until(
            "all are back",
            lambda: all(replica.state["live"] == undone.number for replica in survivors),
        )
        until("all answer so", lambda: all(r.first(undone.number) for r in survivors))
        for replica in survivors:
            assert replica.asked.failures == []
            assert replica.asked.answers[-1][2] == "1.0.0"
        # One history, and every answer by a plan of it.
        assert control.verify().void == ()
        plans = {
            entry.revision.number: {version for version, _ in entry.revision.routing.models}
            for entry in control.history()
        }
        plans[0] = {"1.0.0"}
        for replica in [*survivors, killed]:
            numbers = [number for _, number, _ in replica.asked.answers]
            # Before the first revision it counts its own.
            later = [index for index, number in enumerate(numbers) if number > 1]
            for index in later:
                _, number, version = replica.asked.answers[index]
                assert version in plans[number]
        for replica in survivors:
            replica.end()
        replicas.clear()
