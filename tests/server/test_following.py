"""Three servers on one object store, under load: nobody fails, and all agree.

A rollout moves on by its gates while whoever decides is killed and while the store is cut off; then it is
rolled back.
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
STEP: dict[str, Any] = {"min_requests": 50, "min_seconds": 0}
# It waits for a person in the middle, so that it is not over before the store is back.
STEPS = [{**STEP, "percent": 20}, {**STEP, "percent": 50, "pause": True}, {**STEP, "percent": 80}]
PLAN: dict[str, Any] = {
    "deployment": "tiny",
    "candidate": "1.1.0",
    "gates": [
        {"kind": "errors", "margin": 0.05},
        {"kind": "latency", "quantile": 0.9, "slower": 5.0, "grace": "500ms"},
    ],
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
    """What a client has seen: when, revision and version of each answer, what failed, and what a
    replica took with it when it was killed."""

    answers: list[tuple[float, int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    lost: int = 0


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
            *("--set", "routing.every=0.3"),
        ]
        home = {"XDG_CACHE_HOME": str(folder / f"{name}.cache")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment, **home}, stdout=log, stderr=log
            )
        until("a server listens", lambda: address.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        self.url = address.read_text().strip()
        self.others: list[Replica] = []
        self.killed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        """Asks on and on. What a killed replica does not answer is asked once more, of another one."""
        url = self.url
        with httpx.Client(timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    reply = client.post(f"{url}/v1/models/tiny:predict", json=BODY)
                    reply.raise_for_status()
                except httpx.HTTPError as error:
                    if self.killed and url == self.url and not self._stop.is_set():
                        self.asked.lost += 1
                        url = next(other.url for other in self.others if not other.killed)
                        continue
                    if not self._stop.is_set():
                        self.asked.failures.append(repr(error))
                    return
                found = reply.json()
                answer = (time.monotonic(), found["revision"], found["model_version"])
                self.asked.answers.append(answer)
                self._stop.wait(0.002)

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
        """Ends the process at once; its client goes on elsewhere."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Ends the client."""
        self._stop.set()
        self._thread.join()

    def end(self) -> None:
        self.leave()
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
        for replica in replicas:
            replica.others = [other for other in replicas if other is not replica]
        store = open_store("s3://models/registry", read_only=True)
        yield objects, replicas, Control(store, "tiny", RegistryCatalogue(registry))
    finally:
        for replica in replicas:
            replica.leave()
            replica.kill()
        objects.cut()
        os.environ.clear()
        os.environ.update(before)


def test_nobody_fails_and_all_agree(tmp_path: Path) -> None:
    with three(tmp_path) as (objects, replicas, control):
        control.start(plan_of(PLAN), actor="ann", reason="new")

        def phase() -> str:
            newest = control.newest()
            return "" if newest is None or newest.rollout is None else newest.rollout.phase

        # Whoever decides is killed in the middle.
        def leader() -> Replica | None:
            alive = (replica for replica in replicas if not replica.killed)
            return next((replica for replica in alive if replica.state["leads"]), None)

        until("somebody decides", leader)
        killed = leader()
        assert killed is not None
        assert phase() == "progressing"
        killed.kill()
        until("another decides", leader)
        survivors = [replica for replica in replicas if replica is not killed]
        until("its client is served elsewhere", lambda: killed.asked.lost)

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
        until("its gates have passed half of it", lambda: phase() == "paused")
        control.resume(actor="ann", reason="the store is back")
        until("its gates have passed all of it", lambda: phase() == "promoted")
        undone = control.undo(actor="ann", reason="slow")
        until(
            "all are back",
            lambda: all(replica.state["live"] == undone.number for replica in survivors),
        )
        until("all answer so", lambda: all(r.first(undone.number) for r in survivors))
        for replica in replicas:
            assert replica.asked.failures == []
            assert replica.asked.answers[-1][2] == "1.0.0"
        # What was in flight where it was killed: one retry has served it.
        assert [replica.asked.lost for replica in replicas if replica is not killed] == [0, 0]
        assert killed.asked.lost == 1
        assert len(killed.asked.answers) > 1
        # One history, and every answer by a plan of it.
        assert control.verify().void == ()
        plans = {
            entry.revision.number: {version for version, _ in entry.revision.routing.models}
            for entry in control.history()
        }
        events = [entry.revision.event for entry in control.history()]
        assert events == ["undo", "promote", "resume", "pause", "step", "start", "set"]
        # Replicas decide by evidence: every gate has passed each step that was left by one.
        for entry in control.history():
            if entry.revision.event in ("step", "pause", "promote"):
                assert entry.revision.rollout is not None
                assert entry.revision.token is not None
                evidence: Any = entry.revision.rollout.evidence
                outcomes = [gate["outcome"] for gate in evidence["candidates"][0]["gates"]]
                assert outcomes == ["pass", "pass"]
        plans[0] = {"1.0.0"}
        for replica in replicas:
            numbers = [number for _, number, _ in replica.asked.answers]
            # Before the first revision it counts its own.
            later = [index for index, number in enumerate(numbers) if number > 1]
            for index in later:
                _, number, version = replica.asked.answers[index]
                assert version in plans[number]
        killed.leave()
        for replica in survivors:
            replica.end()
        replicas.clear()
