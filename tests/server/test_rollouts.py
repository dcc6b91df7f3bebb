"""The admin API of rollouts on a live server, and the commands that ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Bundle, Registry
from tidegate.routing.orders import VERBS
from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Server, Settings
from tidegate.server.keyring import Keyring
from tidegate.server.rollouts import BODIES, ROUTES

PATH = "/v1/deployments/tiny/rollout"
PLAN = {"candidate": "1.1.0", "strategy": {"kind": "canary", "steps": [{"percent": 10}]}}


@pytest.fixture(scope="module")
def bundles(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("next")
    return [bundle, tiny_bundle(folder / "next", version="1.1.0")]


@pytest.fixture
def runtime(tmp_path: Path, bundles: list[Bundle]) -> Iterator[Runtime]:
    """A replica that follows a deployment of a registry of its own."""
    registry = Registry(tmp_path / "registry")
    for bundle in bundles:
        registry.publish(bundle)
    registry.alias("tiny", "champion", version="1.0.0")
    with Runtime(registry) as runtime:
        runtime.follow("tiny@champion")
        yield runtime


@pytest.fixture
def server(runtime: Runtime) -> Iterator[Server]:
    with Server(runtime, Settings(port=0)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def tidegate(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *arguments],
        env={**os.environ, "TIDEGATE_URL": server.url, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def start(client: httpx.Client, **more: Any) -> httpx.Response:
    return client.post(f"{PATH}/start", json={"plan": PLAN, "reason": "better on July", **more})


def test_a_rollout_over_http(client: httpx.Client, runtime: Runtime) -> None:
    started = start(client)
    assert started.status_code == 200, started.text
    assert started.json()["revision"] == 2
    assert started.json()["actor"] == "anonymous"
    # It is served by the new plan when the command is answered.
    assert {arm.version: arm.weight for arm in runtime.arms()} == {"1.0.0": 9_000, "1.1.0": 1_000}
    status = client.get(PATH).json()
    assert [arm["percent"] for arm in status["arms"]] == [90.0, 10.0]
    assert status["rollout"]["phase"] == "progressing"
    assert all(gate["outcome"] == "not_enough" for gate in status["rollout"]["gates"])
    for verb, phase in (("pause", "paused"), ("resume", "progressing"), ("abort", "aborted")):
        answer = client.post(f"{PATH}/{verb}", json={"reason": f"{verb} it"}).json()
        assert (answer["event"], answer["rollout"]["phase"]) == (verb, phase)
        assert answer["reason"] == f"{verb} it"
    events = [each["event"] for each in client.get(f"{PATH}/history").json()["revisions"]]
    assert events == ["abort", "resume", "pause", "start", "set"]
    assert len(client.get(f"{PATH}/history?limit=2").json()["revisions"]) == 2
    assert client.get(f"{PATH}/verify").json()["revisions"] == 5


def test_promote_undo_and_rollback(client: httpx.Client) -> None:
    start(client)
    promoted = client.post(f"{PATH}/promote", json={"version": "1.1.0"}).json()
    assert [arm["version"] for arm in promoted["arms"]] == ["1.1.0"]
    undone = client.post(f"{PATH}/undo").json()
    assert [arm["version"] for arm in undone["arms"]] == ["1.0.0"]
    forth = client.post(f"{PATH}/undo", json={"to": promoted["revision"]}).json()
    assert [arm["version"] for arm in forth["arms"]] == ["1.1.0"]
    back = client.post("/v1/deployments/tiny/rollback", json={"reason": "complaints"})
    assert back.status_code == 200, back.text
    assert [arm["version"] for arm in back.json()["arms"]] == ["1.0.0"]
    start(client)
    aborted = client.post("/v1/deployments/tiny/rollback", json={"reason": "again"}).json()
    assert aborted["event"] == "abort"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("start", {}, 400, "plan is missing"),
        ("start", {"plan": {}}, 400, "neither candidate nor arms"),
        ("start", {"plan": {**PLAN, "deployment": "other"}}, 400, "of deployment 'other'"),
        ("start", {"plan": {**PLAN, "candidate": "9.0.0"}}, 404, "has no version '9.0.0'"),
        ("start", {"plan": {**PLAN, "strategie": {}}}, 400, "strategie"),
        ("start", {"plan": PLAN, "skip_check": 7}, 400, "skip_check"),
        ("start", {"plan": {"arms": [{"version": "1.0.0", "percent": 50}]}}, 400, "add up to 50 %"),
        ("pause", {}, 409, "nothing to pause"),
        ("promote", {}, 409, "nothing to promote"),
        ("undo", {}, 409, "nothing to undo"),
        ("undo", {"to": "two"}, 400, "to is 'two'"),
        ("abort", {"reson": "x"}, 400, "reson"),
        ("abort", [], 400, "no JSON object"),
    ],
)
def test_bad_requests(
    client: httpx.Client, path: str, body: object, status: int, said: str
) -> None:
    answer = client.post(f"{PATH}/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


def test_a_rollback_without_a_reason(client: httpx.Client) -> None:
    answer = client.post("/v1/deployments/tiny/rollback")
    assert answer.status_code == 400
    assert answer.json()["error"] == "a rollback needs a reason: say why"


def test_what_is_not_there(client: httpx.Client) -> None:
    for path in (PATH, f"{PATH}/history", f"{PATH}/verify"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "start a rollout first" in answer.json()["error"]
    assert client.get(f"{PATH}/history?limit=0").status_code == 400
    assert client.get(f"{PATH}/history?limit=many").status_code == 400
    assert client.post(f"{PATH}/dance").status_code == 404
    assert client.get(f"{PATH}/start").status_code == 405
    with (
        Runtime() as alone,
        Server(alone, Settings(port=0)) as bare,
        httpx.Client(base_url=bare.url) as other,
    ):
        answer = other.get(PATH)
        assert answer.status_code == 404
        assert "keeps no revisions" in answer.json()["error"]


def test_two_starts_at_once(client: httpx.Client, server: Server) -> None:
    answers: list[int] = []

    def begin() -> None:
        body = {"plan": PLAN, "skip_check": "only one may begin"}
        answer = httpx.post(f"{server.url}{PATH}/start", json=body, timeout=60)
        answers.append(answer.status_code)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409, 409]
    events = [each["event"] for each in client.get(f"{PATH}/history").json()["revisions"]]
    assert events == ["start", "set"]


def test_the_document_names_every_command(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for method, path, name, summary in ROUTES:
        operation = paths[path][method.lower()]
        assert operation["operationId"] == name
        assert operation["summary"] == summary
        assert ("requestBody" in operation) == (name in BODIES)
    assert {f"rollout_{verb}" for verb in VERBS} == set(BODIES)


def test_the_commands_over_http(client: httpx.Client, server: Server) -> None:
    started = tidegate(server, "rollout", "start", "tiny", "1.1.0", "--steps", "10", "-m", "why")
    assert started.stdout == "tiny revision 2: start, 1.0.0 90 %, 1.1.0 10 %\n", started.stderr
    shown = tidegate(server, "rollout", "status", "tiny").stdout
    assert "rollout r2, canary: progressing, step 1 of 1" in shown
    second = tidegate(server, "rollout", "start", "tiny", "1.1.0")
    assert second.returncode == 1
    assert "promote or abort it first" in second.stderr
    failed = json.loads(tidegate(server, "rollout", "start", "tiny", "1.1.0", "--json").stdout)
    assert failed["kind"] == "ConflictError"
    back = tidegate(server, "rollback", "tiny", "-m", "complaints")
    assert back.stdout == "tiny revision 3: abort, 1.0.0 100 %\n"
    assert tidegate(server, "rollout", "watch", "tiny").returncode == 1
    listed = json.loads(tidegate(server, "rollout", "history", "tiny", "--json").stdout)
    assert [each["event"] for each in listed["revisions"]] == ["abort", "start", "set"]
    assert "3 revisions are one chain" in tidegate(server, "rollout", "verify", "tiny").stdout
    assert client.get(PATH).json()["reason"] == "complaints"


def test_roles(runtime: Runtime, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.json")
    keys = {
        name: keyring.new(name, [grant])
        for name, grant in {
            "viewer": "viewer:*",
            "predictor": "predictor:*",
            "operator": "operator:*",
            "elsewhere": "operator:other",
            "here": "operator:tiny",
        }.items()
    }
    with (
        Gate(Access(keys=str(keyring.file))) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):

        def ask(name: str, method: str, path: str, body: object = None) -> httpx.Response:
            headers = {"authorization": f"Bearer {keys[name]}"}
            return client.request(method, path, json=body, headers=headers)

        for name in ("viewer", "predictor", "elsewhere"):
            assert ask(name, "POST", f"{PATH}/start", {"plan": PLAN}).status_code == 403
            assert (
                ask(name, "POST", "/v1/deployments/tiny/rollback", {"reason": "x"}).status_code
                == 403
            )
        started = ask("here", "POST", f"{PATH}/start", {"plan": PLAN})
        assert started.status_code == 200, started.text
        assert started.json()["actor"] == "key:here"
        assert ask("viewer", "GET", PATH).status_code == 200
        assert ask("elsewhere", "GET", PATH).status_code == 403
        assert client.get(PATH).status_code == 401
        assert ask("operator", "POST", f"{PATH}/abort").json()["actor"] == "key:operator"


def test_watching_outlives_a_restart(runtime: Runtime) -> None:
    with Server(runtime, Settings(port=0, grpc=False)) as first:
        port, url = first.port, first.url
        httpx.post(f"{url}{PATH}/start", json={"plan": PLAN}, timeout=60).raise_for_status()
        watching = subprocess.Popen(
            [
                *(sys.executable, "-m", "tidegate.cli", "rollout", "watch", "tiny"),
                *("--url", url, "--every", "50ms", "--json"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["rollout"]["phase"] == "progressing"
    runtime.rollout("tiny").abort(reason="while nobody listened")
    with (
        watching,
        Server(runtime, Settings(port=port, grpc=False)),
    ):
        last = [json.loads(line) for line in watching.stdout][-1]
        assert watching.wait(60) == 1
    assert last["reason"] == "while nobody listened"
