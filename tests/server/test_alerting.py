"""The routes of alerts and incidents on a live server, and the commands that ask them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.monitoring.alerts.conftest import Receiver

from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

ROW = {"x": 1.25, "colour": "red"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def server(runtime: Runtime, receiver: Receiver, tmp_path: Path) -> Iterator[Server]:
    busy = {
        "name": "busy",
        "kind": "threshold",
        "signal": "requests_per_second",
        "above": 0.001,
        "over": "1h",
    }
    alerts = Alerts(
        every=1.0,
        storage=str(tmp_path / "alerts"),
        notify=("hook",),
        group_wait="0s",
        channels={"hook": {"kind": "webhook", "url": f"{receiver.url}/SECRET"}},
        rules=(busy,),
    )
    watch = Watch(alerts, runtime)
    with Server(runtime, Settings(port=0), watch=watch) as server:
        yield server


@pytest.fixture
def client(server: Server, receiver: Receiver) -> Iterator[httpx.Client]:
    """A client of a server with one incident."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while not receiver.posts:
            client.post("/v1/models/tiny:predict", json={"instances": [ROW]})
        yield client


def tidegate(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *arguments],
        env={**os.environ, "TIDEGATE_URL": server.url, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_alert_from_begin_to_review(client: httpx.Client, receiver: Receiver) -> None:
    found = client.get("/v1/alerts").json()
    [alert] = found["alerts"]
    assert (alert["rule"], alert["status"], alert["silenced"]) == ("busy", "firing", False)
    assert "SECRET" not in json.dumps(found)

    body = {"matchers": {"rule": "b*"}, "seconds": 60, "comment": "known"}
    silence = client.post("/v1/alerts/silences", json=body).json()["id"]
    found = client.get("/v1/alerts").json()
    assert found["alerts"][0]["silenced"]
    assert found["silences"][0]["author"] == "anonymous"
    assert client.delete(f"/v1/alerts/silences/{silence}").status_code == 200
    reply = client.delete(f"/v1/alerts/silences/{silence}")
    assert (reply.status_code, "there is no silence" in reply.json()["error"]) == (404, True)
    reply = client.post("/v1/alerts/silences", json={"matchers": {"rule": "b"}})
    assert reply.status_code == 400
    assert reply.json()["error"] == "a silence needs an end: give seconds or until"

    assert client.post("/v1/alerts/channels/hook/test").json()["taken"]
    assert receiver.posts[-1][2]["kind"] == "test"

    [incident] = client.get("/v1/incidents").json()["incidents"]
    path = f"/v1/incidents/{incident['id']}"
    assert client.post(f"{path}/ack").status_code == 200
    assert client.post(f"{path}/note", json={"text": "on it"}).status_code == 200
    assert client.post(f"{path}/note", json={"txt": "on it"}).status_code == 400
    found = client.get(path).json()
    assert (found["status"], found["acknowledged"]) == ("acknowledged", "anonymous")
    assert any(line["text"] == "anonymous notes: on it" for line in found["timeline"])
    assert "on it" in client.get(f"{path}/review").json()["markdown"]
    assert client.post(f"{path}/resolve").status_code == 200
    assert client.post(f"{path}/resolve").status_code == 404
    assert client.get("/v1/incidents/none").status_code == 404


def test_the_commands(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    del client
    shown = tidegate(server, "alerts", "list")
    assert shown.returncode == 0, shown.stderr
    assert "busy" in shown.stdout
    done = tidegate(server, "alerts", "silence", "rule=busy", "--for", "2h", "--comment", "known")
    assert done.returncode == 0, done.stderr
    name = done.stdout.split()[-1]
    assert "silenced" in tidegate(server, "alerts", "list").stdout
    assert tidegate(server, "alerts", "unsilence", name).returncode == 0
    assert "has taken a test" in tidegate(server, "alerts", "test", "hook").stdout
    wrong = tidegate(server, "alerts", "silence", "rule", "--for", "2h")
    assert (wrong.returncode, "give it as NAME=PATTERN" in wrong.stderr) == (1, True)

    [incident] = json.loads(tidegate(server, "incidents", "list", "--json").stdout)
    assert incident["id"] in tidegate(server, "incidents", "list").stdout
    for command in (("ack",), ("note", "looking"), ("show",), ("resolve",)):
        done = tidegate(server, "incidents", command[0], incident["id"], *command[1:])
        assert done.returncode == 0, done.stderr
    review = tmp_path / "review.md"
    assert (
        tidegate(server, "incidents", "export", incident["id"], "--out", str(review)).returncode
        == 0
    )
    assert "anonymous notes: looking" in review.read_text()
    missing = tidegate(server, "incidents", "ack", "none")
    assert (missing.returncode, "there is no open incident" in missing.stderr) == (1, True)


def test_a_server_without_rules_says_so(runtime: Runtime) -> None:
    with (
        Server(runtime, Settings(port=0)) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        assert client.get("/v1/alerts").json()["rules"] == []
        assert client.get("/v1/incidents").json() == {"incidents": []}
        reply = client.post("/v1/alerts/channels/x/test")
        assert (reply.status_code, "has no rules" in reply.text) == (404, True)
