"""A rollout by commands on a server that is a process of its own, with traffic on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.test_life import serving, until

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry

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
