"""A rollout by commands on a server that is a process of its own, with traffic on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.running import run
from tests.runtime.test_gates import plan, published
from tests.server.test_life import serving, until

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.registry import Registry

__all__ = ["published"]

INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    registry = Registry(tmp_path / "registry")
    for version in ("1.0.0", "1.1.0"):
        registry.publish(tiny_bundle(version=version))
    registry.alias("tiny", "champion", version="1.0.0")
    return tmp_path / "registry"


def tidegate(url: str, *arguments: str, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *arguments, "--url", url, "--json"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def versions(client: httpx.Client, count: int) -> set[str]:
    """Who answers so many requests."""
    found = set()
    for _ in range(count):
        answer = client.post("/v1/models/tiny:predict", json=INSTANCES)
        assert answer.status_code == 200, answer.text
        found.add(answer.json()["model_version"])
    return found


def test_start_watch_and_rollback(registry: Path, tmp_path: Path) -> None:
    with (
        serving(registry, tmp_path) as (_, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        assert versions(client, 5) == {"1.0.0"}
        started = tidegate(url, "rollout", "start", "tiny", "1.1.0", "--steps", "50", "-m", "new")
        assert started["rollout"]["phase"] == "progressing"
        # The replica that took the command serves by it when it answers.
        assert versions(client, 200) == {"1.0.0", "1.1.0"}

        def counted() -> bool:
            versions(client, 5)
            status = client.get("/v1/deployments/tiny/rollout").json()
            return all(arm["requests"] > 0 for arm in status["arms"])

        until(counted)
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "tidegate.cli", "rollout", "watch", "tiny"),
                *("--url", url, "--every", "100ms", "--json"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        ) as watching:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["rollout"]["phase"] == "progressing"
            back = tidegate(url, "rollback", "tiny", "-m", "complaints")
            assert [arm["version"] for arm in back["arms"]] == ["1.0.0"]
            assert versions(client, 100) == {"1.0.0"}
            last = [json.loads(line) for line in watching.stdout][-1]
            assert watching.wait(60) == 1
        assert last["reason"] == "complaints"
        history = tidegate(url, "rollout", "history", "tiny")["revisions"]
        assert [each["event"] for each in history] == ["abort", "start", "set"]
        assert tidegate(url, "rollout", "verify", "tiny")["revisions"] == 3
    # The test before the start is kept beside the bundle.
    shown = Registry(registry).resolve("tiny@1.1.0")
    assert Registry(registry).last_report(shown.digest, "check") is not None


def test_what_is_given_up_opens_an_incident_though_nothing_is_said_of_alerts(
    published: Path,
    tmp_path: Path,
) -> None:
    registry = tmp_path / "registry"
    shutil.copytree(published, registry)
    fast = ("--set", "routing.every=0.05", "--set", "routing.samples=0.05")
    with (
        serving(registry, tmp_path, *fast) as (_, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        body = {"plan": plan("1.2.0"), "reason": "a new source", "skip_check": "of the gates"}
        started = client.post("/v1/deployments/tiny/rollout/start", json=body)
        assert started.status_code == 200, started.text
        rows = tiny_table(500, seed=11).select("x", "colour").to_dicts()
        for row in rows:
            answer = client.post("/v1/models/tiny:predict", json={"instances": [row]})
            assert answer.status_code == 200, answer.text

        def records() -> list[dict[str, Any]]:
            listed = client.get("/v1/incidents").json()["incidents"]
            path = f"/v1/incidents/{listed[0]['id']}" if listed else ""
            return client.get(path).json()["records"] if listed else []

        until(lambda: any(record["type"] == "rollout" for record in records()))
    # It is beside the revisions, and can be read there when no server runs any more.
    [found] = json.loads(run("incidents", "list", "--registry", registry, "--json"))
    assert (found["status"], found["severity"]) == ("open", "critical")
    assert found["alerts"][0]["text"].startswith("1.2.0 fails gate prediction: +")
    shown = run("incidents", "show", found["id"], "--registry", registry)
    assert "revision 2 (start by anonymous): 1.0.0 50 %, 1.2.0 50 %" in shown
    review = run("incidents", "export", found["id"], "--registry", registry)
    assert "| 1.2.0 | prediction | fail |" in review
    changed = "deployment tiny: revision 1: 1.0.0 100 % → revision 2 (start by anonymous)"
    assert changed in review
    assert "(abort by " in review
    missing = run("incidents", "show", "none", "--registry", registry, status=1)
    assert "there is no incident 'none'" in missing
